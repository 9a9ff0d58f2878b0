"""Known rigid motion in real BOLD: what is left of it, and CPU seconds, beside antspyx.

Run as ``python -m tests.benchmarks.bold_motion DATA [--volumes N]`` with antspyx at hand. The mean
of a real series (pumi-minitest) is moved as in ``tests/unit/test_bold_motion.py`` (steps of .2 mm
and .2°, one sudden turn, noise of 1.5 %), and both find the motion in one thread:
`estimate_motion`, and ``ants.motion_correction`` (BOLDRigid, to the mean of the series).
"""

import argparse
import time
from pathlib import Path

import ants
import numpy as np

from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.motion import Motion, estimate_motion
from tests.unit.test_bold_motion import _errors, _head, _matrices, _moved, _rms

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
FASTER = 5.0


def theirs(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Matrices that antspyx finds, RAS mm, shape (T, 4, 4)."""
    sizes = np.diag(affine)[:3]
    image = ants.from_numpy(
        data.astype(np.float32),
        origin=[*(LPS[:3, :3] @ affine[:3, 3]), 0.0],
        spacing=[*sizes, 1.0],
        direction=np.diag([-1.0, -1.0, 1.0, 1.0]),
    )
    found = ants.motion_correction(image, type_of_transform="BOLDRigid")
    matrices = []
    for files in found["motion_parameters"]:
        transform = ants.read_transform(files[0])
        turn = np.asarray(transform.parameters[:9]).reshape(3, 3)
        fixed = np.asarray(transform.fixed_parameters)[:3]
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = np.asarray(transform.parameters[9:12]) + fixed - turn @ fixed
        matrices.append(LPS @ matrix @ LPS)
    return np.array(matrices)


def main() -> int:
    """Compare both; 1 where ours errs more, or is not five times as fast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--volumes", type=int, default=18)
    given = parser.parse_args()
    run = given.data / "pumi-minitest/sub-001/func/sub-001_task-rest_bold.nii.gz"
    series, source_affine = read_numbers(run)
    source = series.mean(axis=-1)
    affine, centre = _head(source, source_affine)
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((given.volumes, 6)) * [*(0.2,) * 3, *(0.0035,) * 3]
    parameters = np.cumsum(steps, axis=0)
    parameters[given.volumes // 2 :] += [1.5, -2, 2.5, 0.03, -0.02, 0.02]
    truth = _matrices(parameters, centre)
    data = _moved(source, source_affine, affine, truth)
    mask = data.mean(axis=-1) > 0.25 * np.percentile(data, 99)
    begun = time.process_time()
    own = estimate_motion(data, affine, mask)
    spent = time.process_time() - begun
    begun = time.process_time()
    other = Motion(theirs(data, affine), own.reference, centre)
    others = time.process_time() - begun
    print(f"{given.volumes} volumes of {' × '.join(map(str, data.shape[:3]))} voxels")
    left = []
    for name, motion, seconds in (("ours", own, spent), ("antspyx", other, others)):
        shifts, turns = _errors(motion, truth, centre)
        left.append((_rms(shifts), _rms(turns)))
        print(
            f"{name:8} root mean square error {left[-1][0]:.3f} mm, {left[-1][1]:.3f} degrees; "
            f"{seconds:.1f} s of CPU"
        )
    print(f"antspyx takes {others / spent:.1f} times as long (bar: {FASTER:g})")
    better = all(one <= two for one, two in zip(*left, strict=True))
    return 0 if better and others >= FASTER * spent else 1


if __name__ == "__main__":
    raise SystemExit(main())

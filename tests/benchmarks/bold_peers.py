"""Confounds and denoising of real and synthetic series, beside nipype's, nilearn's and pandas'.

Run as ``python -m tests.benchmarks.bold_peers DATA [--people N]`` with nitime at hand, which
nipype's DVARS asks for. Series: pumi-minitest as it was acquired (20 volumes), people of rest24
(148 volumes of 10 mm), and one person of the phantom (84 volumes). The motion is what the app
finds in each; as tissues serve the tenth of the voxels that varies least and the twentieth that
varies most, as no tissue is marked in these images.

For each family of columns the largest difference over all columns, volumes and series, and the
largest value that it stands beside; for denoising the largest difference of a voxel in a volume,
relative to the standard deviation of the denoised series.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.cleaning import censored, chosen_columns, clean
from bidsapp.modalities.bold.confounds import confounds_of
from bidsapp.modalities.bold.motion import estimate_motion
from bidsapp.modalities.bold.strategies import STRATEGIES
from bidsapp.modalities.bold.synthetic import TR as PHANTOM_TR
from bidsapp.modalities.bold.synthetic import acquire, draw_rest
from bidsapp.phantom import RIGHT_INSULA
from bidsapp.phantom.anatomy import draw_anatomy
from tests.unit import rest24

MOST = {
    "framewise_displacement": 1e-6,
    "std_dvars": 1e-3,
    "dvars": 1e-2,
    "derivatives and squares": 1e-9,
    "cosines": 1e-6,
    "means of brain and tissues": 1e-2,
    "aCompCor": 1e-4,
    "non-steady volumes": 0.0,
}
"""Largest difference that counts as none, in the unit of the column."""
MOST_OF_AN_SD = 1e-2
BAND = (0.008, 0.09)
VOLUMES = 84  # of the phantom


@dataclass(frozen=True)
class Case:
    """A series with its brain, the motion in it and stand-ins for tissues."""

    name: str
    tr: float
    volumes: np.ndarray  # (X, Y, Z, T)
    affine: np.ndarray
    brain: np.ndarray
    head: np.ndarray | None = None  # by which motion is found; as `brain` where None

    @property
    def series(self) -> np.ndarray:
        """Values (T, V) inside the brain."""
        return np.ascontiguousarray(self.volumes[self.brain].T)

    def image(self) -> nib.Nifti1Image:
        """The series as an image."""
        image = nib.Nifti1Image(self.volumes, self.affine)
        image.header.set_xyzt_units("mm", "sec")
        image.header["pixdim"][4] = self.tr
        return image

    def mask(self, inside: np.ndarray) -> nib.Nifti1Image:
        """Some voxels of the brain, booleans (V,), as an image."""
        whole = np.zeros(self.brain.shape, np.uint8)
        whole[self.brain] = inside
        return nib.Nifti1Image(whole, self.affine)


def cases(data: Path, people: int, work: Path) -> Iterator[Case]:
    """Give the series one by one."""
    run = data / "pumi-minitest/sub-001/func/sub-001_task-rest_bold.nii.gz"
    values, affine = read_numbers(run)
    yield Case("pumi-minitest", 2.52, values, affine, _bright(values))
    for path in rest24.bold_files(data)[:people]:
        values, affine = read_numbers(path)
        yield Case(path.name[:6] + " of rest24", 2.0, values, affine, rest24.mask(data))
    rng = np.random.default_rng(0)
    rest = draw_rest(rng, False, "salience", 0.0, VOLUMES, 6.0, (0,))
    whole, affine = acquire(draw_anatomy(rng, 3.0, RIGHT_INSULA, 0.0), rest)
    values = whole.astype(np.float32)
    brain = _bright(values)
    brain[..., np.arange(brain.shape[2]) % 4 > 0] = False  # nipype goes voxel by voxel
    yield Case("phantom", PHANTOM_TR, values, affine, brain, _bright(values))


def _bright(values: np.ndarray) -> np.ndarray:
    from nilearn.masking import compute_epi_mask

    mean = nib.Nifti1Image(values.mean(axis=-1), np.eye(4))
    return np.asarray(compute_epi_mask(mean, opening=1).dataobj) > 0


def differences(case: Case, work: Path) -> tuple[dict[str, tuple[float, float]], pd.DataFrame]:
    """Largest difference and largest value of each family of columns, and our table."""
    from nilearn.maskers import NiftiLabelsMasker
    from nipype.algorithms.confounds import (
        ACompCor,
        FramewiseDisplacement,
        NonSteadyStateDetector,
        compute_dvars,
    )

    work.mkdir()
    head = case.brain if case.head is None else case.head
    motion = estimate_motion(case.volumes, case.affine, head, torch.device("cpu"))
    series, parameters = case.series, motion.parameters
    spread = series.std(axis=0).argsort().argsort() / series.shape[1]
    white, fluid = spread < 0.1, spread > 0.95
    detected = NonSteadyStateDetector(in_file=str(_save(case.image(), work / "bold.nii.gz")))
    steady = int(detected.run(cwd=work).outputs.n_volumes_to_discard)
    table = confounds_of(parameters, series, white, fluid, case.tr, steady).table
    theirs: dict[str, dict[str, np.ndarray]] = {name: {} for name in MOST}
    np.savetxt(work / "motion.txt", parameters)
    fd = FramewiseDisplacement(
        in_file=str(work / "motion.txt"), parameter_source="SPM", out_file=str(work / "fd.txt")
    )
    fd.run(cwd=work)
    theirs["framewise_displacement"]["framewise_displacement"] = np.r_[
        np.nan, np.loadtxt(work / "fd.txt", skiprows=1)
    ]
    brain = _save(case.mask(np.ones(series.shape[1])), work / "brain.nii.gz")
    standardised, plain, _ = compute_dvars(
        str(work / "bold.nii.gz"), str(brain), remove_zerovariance=True
    )
    theirs["std_dvars"]["std_dvars"] = np.r_[np.nan, standardised]
    theirs["dvars"]["dvars"] = np.r_[np.nan, plain]
    plain_columns = [c for c in table if "_derivative1" not in c and "_power2" not in c]
    for name in [c for c in plain_columns if f"{c}_power2" in table]:
        own = theirs["derivatives and squares"]
        own[f"{name}_derivative1"] = table[name].diff().to_numpy()
        own[f"{name}_power2"] = (table[name] ** 2).to_numpy()
        own[f"{name}_derivative1_power2"] = (table[name].diff() ** 2).to_numpy()
    everything = np.ones(series.shape[1], bool)
    for name, inside in (("global_signal", everything), ("white_matter", white), ("csf", fluid)):
        masker = NiftiLabelsMasker(case.mask(inside), standardize=None, resampling_target=None)
        theirs["means of brain and tissues"][name] = masker.fit_transform(case.image())[:, 0]
    for letter, inside in (("w", white), ("c", fluid), ("a", white | fluid)):
        found = ACompCor(
            realigned_file=str(work / "bold.nii.gz"),
            mask_files=[str(_save(case.mask(inside), work / f"{letter}.nii.gz"))],
            num_components=min(10, len(series) - steady - 1),
            pre_filter="cosine",
            high_pass_cutoff=128,
            repetition_time=case.tr,
            ignore_initial_volumes=steady,
            components_file=str(work / f"{letter}.txt"),
            save_pre_filter=str(work / "drift.tsv"),
        )
        found.run(cwd=work)
        for number, column in enumerate(np.loadtxt(work / f"{letter}.txt", skiprows=1).T):
            own_column = table[f"{letter}_comp_cor_{number:02d}"].to_numpy()
            turned = np.sign(column @ own_column)  # a component's sign is free
            theirs["aCompCor"][f"{letter}_comp_cor_{number:02d}"] = column * turned
    if (work / "drift.tsv").read_text().strip():  # none of a series of less than a period
        drift = pd.read_csv(work / "drift.tsv", sep="\t")
        found_cosines = [name for name in map(str, drift) if name.startswith("Cosine")]
        theirs["cosines"] = {name.lower(): drift[name].to_numpy() for name in found_cosines}
    for number in range(steady):
        theirs["non-steady volumes"][f"non_steady_state_outlier{number:02d}"] = np.eye(len(series))[
            number
        ]
    _same_columns(table, theirs)
    return {family: _largest(table, columns) for family, columns in theirs.items()}, table


def _same_columns(table: pd.DataFrame, theirs: dict[str, dict[str, np.ndarray]]) -> None:
    """Every column but motion and its outliers, which are the app's own, has a peer."""
    named = {name for columns in theirs.values() for name in columns}
    own = {name for name in table if name[:4] not in ("tran", "rot_", "moti") or "_power" in name}
    assert own - named == set(), own - named
    assert named <= set(table), named - set(table)


def _largest(table: pd.DataFrame, columns: dict[str, np.ndarray]) -> tuple[float, float]:
    if not columns:
        return 0.0, 0.0
    away, size = 0.0, 0.0
    for name, values in columns.items():
        own = table[name].to_numpy(float)
        assert np.array_equal(np.isnan(own), np.isnan(values)), name
        away = max(away, float(np.nanmax(np.abs(own - values))))
        size = max(size, float(np.nanmax(np.abs(values))))
    return away, size


def cleaned_apart(case: Case, table: pd.DataFrame) -> dict[str, float]:
    """Largest difference of denoised values from nilearn's, in SD of the series, by strategy."""
    from nilearn.image import clean_img

    found = {}
    band = BAND if len(table) > 60 else (None, None)
    for name, strategy in STRATEGIES.items():
        columns = chosen_columns(table, strategy)
        out = censored(table, strategy)
        if (~out).sum() - len(columns) < 12:
            continue
        own = clean(case.series, table, strategy, case.tr, band)
        more = {"clean__sample_mask": np.flatnonzero(~out)} if out.any() else {}
        theirs = clean_img(
            case.image(),
            detrend=True,
            standardize=None,
            confounds=table[columns].bfill().to_numpy() if columns else None,
            high_pass=band[0],
            low_pass=band[1],
            t_r=case.tr,
            mask_img=case.mask(np.ones(case.series.shape[1])),
            **more,
        )
        wanted = theirs.get_fdata()[case.brain].T
        assert own.series.shape == wanted.shape
        found[name] = float(np.abs(own.series - wanted).max() / wanted.std())
    return found


def _save(image: nib.Nifti1Image, path: Path) -> Path:
    image.to_filename(path)
    return path


def main() -> int:
    """Compare all; 1 where a difference is larger than its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--people", type=int, default=2, help="of rest24")
    parser.add_argument("--json", action="store_true", help="numbers of every series, too")
    given = parser.parse_args()
    worst = dict.fromkeys(MOST, (0.0, 0.0))
    apart: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as work:
        names = []
        for number, case in enumerate(cases(given.data, given.people, Path(work))):
            names.append(f"{case.name} ({len(case.series)} × {case.series.shape[1]:,})")
            found, table = differences(case, Path(work) / str(number))
            for family, pair in found.items():
                worst[family] = max(worst[family], pair)
            cleaned = cleaned_apart(case, table)
            for strategy, value in cleaned.items():
                apart[strategy] = max(apart.get(strategy, 0.0), value)
            if given.json:
                print(json.dumps([case.name, found, cleaned]))
    print(f"{len(names)} series (volumes × voxels): {', '.join(names)}")
    print("largest difference from nipype, nilearn or pandas (largest value; bar)")
    for family, (away, size) in worst.items():
        print(f"  {family:27} {away:.1e} ({size:.3g}; {MOST[family]:.0e})")
    print("denoising: largest difference from nilearn's clean_img, in SD of the denoised series")
    for strategy, value in apart.items():
        print(f"  {strategy:27} {value:.1e} (bar {MOST_OF_AN_SD:.0e})")
    good = all(away <= MOST[family] for family, (away, _) in worst.items())
    return 0 if good and max(apart.values()) <= MOST_OF_AN_SD else 1


if __name__ == "__main__":
    raise SystemExit(main())

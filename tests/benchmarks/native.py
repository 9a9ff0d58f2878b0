"""What a map loses on its way to a person's own voxels and back, beside interpolation alone.

Run from the repository root: ``python -m tests.benchmarks.native --normalised OUT`` with an output
folder of the participant level. A signed map, smooth as the group's are, goes to each person's own
voxels by the transforms that lie there, and back. Beside it stand two linear interpolations that
no transform has part in: half a voxel along each axis, and back.
"""

import argparse
import statistics
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from bidsapp.drawing.geometry import reference_image
from bidsapp.execution.compute import threads
from bidsapp.modalities.t1w.modality import MODALITY
from bidsapp.saliency.native import NativeSpace, carry
from bidsapp.spaces.grid import MaskedSmoother


def off(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the difference, as a share of that of the first."""
    return float(np.sqrt(((one - other) ** 2).mean() / (one**2).mean()))


def main() -> None:
    """Print the differences, one line a person and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--normalised", type=Path, required=True)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--fwhm", type=float, default=5.0)
    options = parser.parse_args()
    files = sorted(options.normalised.glob("sub-*/**/*_res-2_desc-preproc_T1w.nii.gz"))
    pairs = []
    with threads(1):
        for file in files[: options.people]:
            pairs.append(one_person(file, options.fwhm))
            print(f"{file.name.split('_')[0]}: {pairs[-1][0]:.3f}, half a voxel {pairs[-1][1]:.3f}")
    there, plain = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(f"median of {len(pairs)}: {there:.3f} of the map's RMS, half a voxel {plain:.3f}")


def one_person(file: Path, fwhm: float) -> tuple[float, float]:
    """Difference after both ways, and after half a voxel and back, inside the person's brain."""
    template = file.name.partition("_space-")[2].partition("_")[0]
    image = nib.Nifti1Image.load(file)
    affine = np.asarray(image.affine)
    brain = np.asarray(image.dataobj) > 0
    noise = np.random.default_rng(0).standard_normal(int(brain.sum()))
    volume = np.zeros(brain.shape, np.float32)
    volume[brain] = MaskedSmoother(brain, (2.0, 2.0, 2.0), fwhm)(noise)
    space = NativeSpace(MODALITY.way_back(file))
    forward = sitk.ReadTransform(
        str(space.transform_file).replace(f"from-{template}_to-T1w", f"from-T1w_to-{template}")
    )
    standard = reference_image(brain.shape, affine)
    back = carry(space.of(volume, affine), space.affine, standard, forward)
    half = sitk.TranslationTransform(3, (1.0, 1.0, 1.0))
    shifted = carry(volume, affine, standard, half)
    plain = carry(shifted, affine, standard, half.GetInverse())
    return off(volume[brain], back[brain]), off(volume[brain], plain[brain])


if __name__ == "__main__":
    main()

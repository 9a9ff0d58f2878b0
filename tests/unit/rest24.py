"""Twenty-four real people at rest on a 10 mm grid: their series inside the brain's mask."""

from functools import cache
from pathlib import Path

import numpy as np

from bidsapp.intake.images import read_numbers
from bidsapp.representation.components.reduction import reduce_person
from bidsapp.representation.components.whitening import pair_products

PEOPLE = 24


def bold_files(real_data: Path) -> list[Path]:
    """Images of sub-01 to sub-24."""
    folder = real_data / "rest24_mni10mm"
    return sorted(folder.glob("sub-*/func/*_desc-preproc_bold.nii.gz"))


def mask_file(real_data: Path) -> Path:
    """The brain's mask on their grid."""
    return real_data / "rest24_mni10mm" / "tpl-MNI152Lin_res-10mm_desc-brain_mask.nii.gz"


@cache
def mask(real_data: Path) -> np.ndarray:
    """Booleans, shape (17, 20, 17); 2,029 are true."""
    return read_numbers(mask_file(real_data))[0] > 0.5


@cache
def series(real_data: Path) -> tuple[np.ndarray, ...]:
    """One array a person, float32, shape (148, 2029)."""
    inside = mask(real_data)
    return tuple(read_numbers(path)[0][inside].T for path in bold_files(real_data))


@cache
def reductions(real_data: Path) -> tuple[np.ndarray, ...]:
    """One array a person, float32, shape (64, 2029)."""
    return tuple(reduce_person(person).components for person in series(real_data))


@cache
def products(real_data: Path) -> np.ndarray:
    """Products of all pairs of people."""
    return pair_products(reductions(real_data))

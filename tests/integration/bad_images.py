"""Every way we know in which a T1w image can be wrong, made from one good head."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

Make = Callable[[Path, np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class Case:
    """One bad image.

    `outcomes` are what may become of it: ``failed`` (refused when read), or a verdict.
    `says` has to be in the message or in the reasons and notes of the sidecar.
    """

    make: Make
    outcomes: tuple[str, ...]
    says: str


def _save(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    nib.Nifti1Image(data, affine).to_filename(path)


def _rotation(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, cosine, -sine, 0], [0, sine, cosine, 0], [0, 0, 0, 1.0]])


def _zero_bytes(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    path.touch()


def _truncated(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, data, affine)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _not_gzip(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    path.write_bytes(b"this is not an image" * 100)


def _raw_nifti_named_gz(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    path.write_bytes(nib.Nifti1Image(data, affine).to_bytes())


def _four_dimensional(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, np.stack([data, data], axis=3), affine)


def _one_slice(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, data[:, :, 60:61], affine)


def _constant(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, np.full_like(data, 7), affine)


def _nan_and_inf(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    broken = data.astype(np.float32)
    broken[:4, :4, :4] = np.nan
    broken[60, 60, 60] = np.inf
    _save(path, broken, affine)


def _zero_affine(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    image = nib.Nifti1Image(data, affine)
    image.header["srow_x"] = image.header["srow_y"] = image.header["srow_z"] = 0
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    raw = bytearray(image.to_bytes())
    raw[280:328] = bytes(48)  # srow_x, srow_y and srow_z in a NIfTI-1 header
    path.write_bytes(gzip.compress(bytes(raw)))


def _rgb(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    coloured = np.zeros(data.shape, dtype=kind)
    coloured["R"] = data
    nib.Nifti1Image(coloured, affine).to_filename(path)


def _pitched(degrees: float) -> Make:
    def make(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
        _save(path, data, _rotation(degrees) @ affine)

    return make


def _swapped_axes(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, np.ascontiguousarray(data.transpose(1, 0, 2)), affine)


def _cycled_axes(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, np.ascontiguousarray(data.transpose(2, 0, 1)), affine)


def _half_head(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    # IXI lies as PSR on disk: the last axis runs to the right
    _save(path, np.ascontiguousarray(data[:, :, : data.shape[2] // 2]), affine)


def _neck_heavy(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    neck = np.repeat(data[:, :1], 50, axis=1)
    moved = affine.copy()
    moved[:3, 3] -= 50 * affine[:3, 1]
    _save(path, np.concatenate([neck, data], axis=1), moved)


def _thick_slices(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    # 2 mm in plane, 3 mm apart
    thin = gaussian_filter(data.astype(np.float32), (0, 0.8, 0))
    thick = affine.copy()
    thick[:3, 1] *= 1.5
    shape = (data.shape[0], int(data.shape[1] / 1.5), data.shape[2])
    _save(path, affine_transform(thin, np.diag([1, 1.5, 1]), output_shape=shape, order=1), thick)


def _strong_bias(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in data.shape), indexing="ij")
    _save(path, (data * np.exp(0.9 * x + 0.6 * y - 0.5 * z)).astype(np.float32), affine)


def _inverted(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    top = np.percentile(data, 99)
    inside = gaussian_filter(data.astype(np.float32), 2) > 0.1 * top
    _save(path, np.where(inside, np.maximum(top - data, 0), 0).astype(np.float32), affine)


def _noise(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    _save(path, np.random.default_rng(0).integers(0, 255, data.shape).astype(np.uint8), affine)


def _empty_background(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    sparse = np.zeros_like(data)
    sparse[60, 60, 45] = 200
    _save(path, sparse, affine)


# A header that is off by 30 degrees is one that the affine copes with, so that a pass is right.
TILTED = ("pass", "warn")
NOT_PASSED = ("warn", "fail", "failed")

CASES = {
    "zerobytes": Case(_zero_bytes, ("failed",), "is empty (0 bytes)"),
    "truncated": Case(_truncated, ("failed",), "damaged or cut short"),
    "notgzip": Case(_not_gzip, ("failed",), "not a NIfTI image that can be read"),
    "rawgz": Case(_raw_nifti_named_gz, ("failed",), "not a NIfTI image that can be read"),
    "fourd": Case(_four_dimensional, ("failed",), "holds 2 volumes"),
    "oneslice": Case(_one_slice, ("failed",), "a whole brain needs at least"),
    "constant": Case(_constant, ("failed",), "is constant"),
    "naninf": Case(_nan_and_inf, ("pass",), "were NaN or infinite"),
    "zeroaffine": Case(_zero_affine, ("failed",), "an affine that maps no volume"),
    "rgb": Case(_rgb, ("failed",), "must be grey-scale"),
    "pitch30": Case(_pitched(30), TILTED, ""),
    "pitch60": Case(_pitched(60), NOT_PASSED, ""),
    "pitch90": Case(_pitched(90), NOT_PASSED, ""),
    "swapped": Case(_swapped_axes, NOT_PASSED, ""),
    "cycled": Case(_cycled_axes, NOT_PASSED, ""),
    "halfhead": Case(_half_head, NOT_PASSED, ""),
    "neck": Case(_neck_heavy, ("pass",), ""),
    "thick": Case(_thick_slices, ("pass", "warn"), ""),
    "bias": Case(_strong_bias, ("pass",), ""),
    "inverted": Case(_inverted, ("fail", "failed"), ""),
    "noise": Case(_noise, ("fail", "failed"), ""),
    "speck": Case(_empty_background, ("fail", "failed"), ""),
}


# The rest fails its first judgement and is tried in all orientations, which takes 20 s each.
FAST = [
    name
    for name in CASES
    if name not in ("pitch60", "swapped", "cycled", "halfhead", "inverted", "noise")
]


def make_bad_dataset(folder: Path, good: Path, names: Sequence[str] = tuple(CASES)) -> None:
    """Write a BIDS dataset with a participant per case named, and a good one (``sub-good``)."""
    image = nib.Nifti1Image.load(good)
    data, affine = np.asarray(image.dataobj), image.affine
    folder.mkdir(parents=True)
    (folder / "dataset_description.json").write_text(
        '{"Name": "Bad images", "BIDSVersion": "1.10.0", "DatasetType": "raw"}'
    )
    for name in [*names, "good"]:
        path = folder / f"sub-{name}" / "anat" / f"sub-{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        if name == "good":
            path.write_bytes(good.read_bytes())
        else:
            CASES[name].make(path, data, affine)

"""What a T1w file may be: each fault has its message, and what can be repaired is said."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData, NociCastError, NoInput
from bidsapp.modalities.t1w.reading import read_head
from tests.integration.bad_images import CASES
from tests.unit.unprivileged import as_anybody, open_folder

PSR = np.array([[0.0, 0, 2, -40], [-2, 0, 0, 60], [0, -2, 0, 60], [0, 0, 0, 1]])


def head() -> np.ndarray:
    """An image of bytes as IXI stores them, (posterior, superior, right), of 120 x 124 x 90."""
    return np.random.default_rng(0).integers(1, 255, (120, 124, 90)).astype(np.uint8)


def saved(path: Path, data: np.ndarray, affine: np.ndarray = PSR) -> Path:
    nib.Nifti1Image(data, affine).to_filename(path)
    return path


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.outcomes == ("failed",)]
)
def test_what_cannot_be_used_is_refused_when_it_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "sub-01_T1w.nii.gz"
    CASES[name].make(path, head(), PSR)
    with pytest.raises(BadData) as caught:
        read_head(path)
    assert CASES[name].says in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 65


def wide_view(path: Path) -> None:
    affine = np.diag([9.0, 3.0, 3.0, 1.0])
    nib.Nifti1Image(np.zeros((120, 60, 60), np.uint8), affine).to_filename(path)


def huge_voxels(path: Path) -> None:
    saved(path, head(), np.diag([20.0, 20, 20, 1]))


def micrometres(path: Path) -> None:
    saved(path, head(), np.diag([0.02, 0.02, 0.02, 1]))


def nan_affine(path: Path) -> None:
    raw = bytearray(nib.Nifti1Image(head(), PSR).to_bytes())
    raw[280:284] = np.float32(np.nan).tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


def all_nan(path: Path) -> None:
    saved(path, np.full((64, 64, 64), np.nan, np.float32))


def constant_beside_nan(path: Path) -> None:
    data = np.full((64, 64, 64), np.nan, np.float32)
    data[:20] = 5
    saved(path, data)


def complex_numbers(path: Path) -> None:
    saved(path, head().astype(np.complex64))


def flat(path: Path) -> None:
    saved(path, head()[:, :, 0])


def small(path: Path) -> None:
    saved(path, head()[:20, :20, :20])


def unknown_type(path: Path) -> None:
    raw = bytearray(nib.Nifti1Image(head(), PSR).to_bytes())
    raw[70:72] = np.int16(999).tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


def absent(path: Path) -> None:
    pass


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (huge_voxels, BadData, "voxels of 20 × 20 × 20 mm"),
        (micrometres, BadData, "Check the units"),
        (wide_view, BadData, "covers 1080 × 180 × 180 mm; at most 1000 mm"),
        (nan_affine, BadData, "maps no volume"),
        (all_nan, BadData, "holds no finite number in any voxel"),
        (constant_beside_nan, BadData, "is constant: every voxel is 5"),
        (complex_numbers, BadData, "complex"),
        (flat, BadData, "three dimensions"),
        (small, BadData, "60 mm along each axis"),
        (unknown_type, BadData, "header"),
        (absent, NoInput, "is not there"),
        (folder, NociCastError, "T1w.nii.gz"),
    ],
)
def test_other_faults_have_messages_too(
    make: object, error: type[NociCastError], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "sub-01_T1w.nii.gz"
    make(path)  # type: ignore[operator]
    with pytest.raises(error) as caught:
        read_head(path)
    assert says in str(caught.value)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    read_head(saved(tmp_path / "sound.nii.gz", head()))  # imports all that is needed
    with open_folder() as folder:
        path = saved(folder / "sub-01_T1w.nii.gz", head())
        path.chmod(0)
        with as_anybody(), pytest.raises(NoInput, match="cannot be read: Permission denied"):
            read_head(path)


def test_nan_and_inf_at_the_edge_become_zero_and_are_counted(tmp_path: Path) -> None:
    data = head().astype(np.float32)
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    found = read_head(saved(tmp_path / "T1w.nii.gz", data))
    assert np.isfinite(found.data).all()
    assert np.count_nonzero(found.data == 0) == 3
    assert found.notes == [
        f"3 of {data.size} voxels, connected to the edge, were NaN or infinite and were taken as "
        "background."
    ]
    assert found.orientation_known


def test_one_volume_in_four_dimensions_is_one_image(tmp_path: Path) -> None:
    three = read_head(saved(tmp_path / "three.nii.gz", head()))
    four = read_head(saved(tmp_path / "four.nii.gz", head()[..., np.newaxis]))
    np.testing.assert_array_equal(four.data, three.data)
    np.testing.assert_array_equal(four.affine, three.affine)


def test_voxels_come_in_ras_order_and_keep_their_place(tmp_path: Path) -> None:
    data = head()
    found = read_head(saved(tmp_path / "T1w.nii.gz", data))
    assert nib.aff2axcodes(found.affine) == ("R", "A", "S")
    assert found.data.dtype == np.float32
    np.testing.assert_allclose(found.voxel_sizes, 2)
    for index in ((3, 4, 5), (119, 0, 89)):
        place = PSR @ (*index, 1)
        there = tuple(np.round(np.linalg.inv(found.affine) @ place)[:3].astype(int))
        assert found.data[there] == data[index]


def test_scaled_integers_are_read_as_what_they_mean(tmp_path: Path) -> None:
    image = nib.Nifti1Image(head().astype(np.int16), PSR)
    image.header.set_slope_inter(0.5, 10)
    image.to_filename(tmp_path / "T1w.nii.gz")
    found = read_head(tmp_path / "T1w.nii.gz")
    expected = np.asarray(nib.Nifti1Image.load(tmp_path / "T1w.nii.gz").get_fdata())
    assert found.data.max() == pytest.approx(expected.max())


def test_an_image_without_orientation_is_read_with_doubt(tmp_path: Path) -> None:
    image = nib.Nifti1Image(head(), None)
    image.header.set_zooms((2, 2, 2))
    image.header["sform_code"] = image.header["qform_code"] = 0
    image.to_filename(tmp_path / "T1w.nii.gz")
    found = read_head(tmp_path / "T1w.nii.gz")
    assert not found.orientation_known
    assert "left and right are not certain" in found.notes[0]


def mirrored() -> np.ndarray:
    return np.diag([-1.0, 1, 1, 1]) @ PSR


@pytest.mark.parametrize(
    ("sform", "qform", "known"),
    [
        ((PSR, 1), (PSR, 1), True),
        ((PSR, 1), (mirrored(), 1), False),
        ((PSR, 1), (mirrored(), 0), True),
        ((mirrored(), 0), (PSR, 1), True),
    ],
)
def test_two_orientations_that_contradict_each_other_are_a_doubt(
    sform: tuple[np.ndarray, int], qform: tuple[np.ndarray, int], known: bool, tmp_path: Path
) -> None:
    image = nib.Nifti1Image(head(), None)
    image.set_qform(*qform)
    image.set_sform(*sform)
    image.to_filename(tmp_path / "T1w.nii.gz")
    found = read_head(tmp_path / "T1w.nii.gz")
    assert found.orientation_known is known
    assert bool(found.notes) is not known
    if not known:
        assert "contradict each other" in found.notes[0]


def test_a_doubt_about_orientation_is_a_warning_in_the_verdict() -> None:
    from bidsapp.contracts.measure import WARN
    from tests.unit.test_normalization_quality import judged

    assert judged(doubts=("The header does not say what is left and right.",)).verdict == WARN

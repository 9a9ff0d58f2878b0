"""Images of other pipelines on the recipe's grid: in their place, masked, scaled, or refused."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.cohort import EXCLUSION_COLUMNS, Cohort
from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.errors import BadData
from bidsapp.modalities.t1w.conform import conform_cohort, conform_image, conform_map

SHAPE = (79, 95, 79)
AFFINE = np.array([[2, 0, 0, -78], [0, 2, 0, -112], [0, 0, 2, -70], [0, 0, 0, 1.0]])
BLOB_MM = np.array([24.0, -36.0, 18.0])


def turned(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def grid_of(matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Affine with this matrix whose middle voxel lies in the middle of the brain."""
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = np.array([0, -18, 8]) - matrix @ ((np.array(shape) - 1) / 2)
    return affine


GRIDS = {
    "1 mm": ((160, 190, 160), np.eye(3)),
    "left to right": ((160, 190, 160), np.diag([-1.0, 1, 1])),
    "FSL's 2 mm": ((91, 109, 91), np.diag([-2.0, 2, 2])),
    "uneven": ((100, 200, 64), np.diag([1.6, 1.0, 2.8])),
    "axes in another order": ((100, 80, 90), np.array([[0, 2.0, 0], [0, 0, 2], [-2, 0, 0]]).T),
    "turned": ((100, 120, 100), 2 * turned(20)),
}


def millimetres(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Places of all voxels, (..., 3)."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def blob(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """A head of 300 in air, with a bright blob of 8 mm (SD) at `BLOB_MM`."""
    squared = ((millimetres(shape, affine) - BLOB_MM) ** 2).sum(axis=-1)
    head = 300 + 700 * np.exp(-squared / (2 * 8**2))
    return (head * ball(shape, affine, 75)).astype(np.float32)


def ball(shape: tuple[int, ...], affine: np.ndarray, radius: float = 60) -> np.ndarray:
    """Mask of a ball about (0, -18, 8) mm."""
    away = millimetres(shape, affine) - (0, -18, 8)
    return ((away**2).sum(axis=-1) < radius**2).astype(np.uint8)


def save(path: Path, data: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    return save(tmp_path / "grid.nii", np.zeros(SHAPE, np.uint8), AFFINE)


@pytest.mark.parametrize("name", GRIDS)
def test_whatever_its_grid_an_image_stays_at_its_millimetres(
    name: str, grid: Path, tmp_path: Path
) -> None:
    shape, matrix = GRIDS[name]
    affine = grid_of(matrix, shape)
    image = save(tmp_path / "T1w.nii.gz", blob(shape, affine), affine)
    mask = save(tmp_path / "mask.nii.gz", ball(shape, affine), affine)
    found = nib.Nifti1Image.load(conform_image(image, mask, grid, "minmax", tmp_path / "conformed"))
    data = np.asarray(found.dataobj)
    assert data.shape == SHAPE
    assert data.dtype == np.float32
    np.testing.assert_array_equal(found.affine, AFFINE)
    assert (data.min(), data.max()) == (0, 1)
    # the oracle is the same blob drawn on the recipe's grid, masked and scaled
    inside = ball(SHAPE, AFFINE) > 0
    away = np.linalg.norm(millimetres(SHAPE, AFFINE) - (0, -18, 8), axis=-1)
    expected = np.where(inside, blob(SHAPE, AFFINE), 0)
    expected /= expected.max()
    clear = np.abs(away - 60) > 3
    np.testing.assert_allclose(data[clear], expected[clear], atol=0.02)


def test_a_mask_may_lie_on_a_grid_of_its_own(grid: Path, tmp_path: Path) -> None:
    shape, fine = (160, 190, 160), grid_of(np.eye(3), (160, 190, 160))
    image = save(tmp_path / "T1w.nii", blob(shape, fine), fine)
    coarse = grid_of(np.diag([-3.0, 3, 3]), (60, 70, 60))
    mask = save(tmp_path / "mask.nii", ball((60, 70, 60), coarse), coarse)
    data = np.asarray(
        nib.Nifti1Image.load(conform_image(image, mask, grid, "minmax", tmp_path)).dataobj
    )
    wanted = ball(SHAPE, AFFINE) > 0
    assert 2 * ((data > 0) & wanted).sum() / ((data > 0).sum() + wanted.sum()) > 0.98


def test_intensities_may_stay_what_they_are(grid: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "T1w.nii", blob(SHAPE, AFFINE), AFFINE)
    data = np.asarray(
        nib.Nifti1Image.load(conform_image(image, None, grid, "none", tmp_path)).dataobj
    )
    np.testing.assert_allclose(data, blob(SHAPE, AFFINE), rtol=1e-4, atol=1e-2)


def test_an_edge_does_not_ring_below_zero_or_above_the_brightest(
    grid: Path, tmp_path: Path
) -> None:
    fine = grid_of(1.5 * np.eye(3), (110, 130, 110))
    head = np.where(ball((110, 130, 110), fine), 1000, 0).astype(np.int16)
    image = save(tmp_path / "T1w.nii.gz", head, fine)
    data = np.asarray(
        nib.Nifti1Image.load(conform_image(image, None, grid, "none", tmp_path)).dataobj
    )
    assert data.min() >= 0
    assert data.max() <= 1000


def test_a_log_jacobian_keeps_its_sign_and_its_place(grid: Path, tmp_path: Path) -> None:
    shape, matrix = GRIDS["FSL's 2 mm"]
    affine = grid_of(matrix, shape)
    image = save(tmp_path / "logjacobian.nii.gz", 0.5 - blob(shape, affine) / 600, affine)
    found = np.asarray(nib.Nifti1Image.load(conform_map(image, grid, tmp_path)).dataobj)
    expected = 0.5 - blob(SHAPE, AFFINE) / 600
    inside = ball(SHAPE, AFFINE) > 0
    assert expected[inside].min() < -1
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.02)


def test_what_was_conformed_is_not_done_again_unless_its_source_changed(
    grid: Path, tmp_path: Path
) -> None:
    image = save(tmp_path / "T1w.nii", blob(SHAPE, AFFINE), AFFINE)
    first = conform_image(image, None, grid, "minmax", tmp_path / "c")
    stamp = first.stat().st_mtime_ns
    assert conform_image(image, None, grid, "minmax", tmp_path / "c") == first
    assert first.stat().st_mtime_ns == stamp
    save(image, blob(SHAPE, AFFINE) * ball(SHAPE, AFFINE, 30), AFFINE)
    second = conform_image(image, None, grid, "minmax", tmp_path / "c")
    assert second != first
    assert conform_image(image, None, grid, "none", tmp_path / "c") not in (first, second)


def test_what_cannot_be_used_is_refused_by_name(grid: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "T1w.nii", blob(SHAPE, AFFINE), AFFINE)
    far = AFFINE.copy()
    far[:3, 3] += 1000
    cases = {
        "elsewhere.nii": (blob(SHAPE, AFFINE), far, "no brain where the recipe's grid lies"),
        "series.nii": (np.ones((4, 4, 4, 2), np.float32), AFFINE, "one volume"),
        "nan.nii": (np.full(SHAPE, np.nan, np.float32), AFFINE, "finite"),
    }
    for name, (data, affine, says) in cases.items():
        save(tmp_path / name, data, affine)
        with pytest.raises(BadData, match=f"{name}.*{says}"):
            conform_image(tmp_path / name, None, grid, "minmax", tmp_path)
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b cut short")
    with pytest.raises(BadData, match=r"cut\.nii\.gz is damaged or cut short"):
        conform_image(tmp_path / "cut.nii.gz", None, grid, "minmax", tmp_path)
    empty = save(tmp_path / "mask.nii", np.zeros(SHAPE, np.uint8), AFFINE)
    with pytest.raises(BadData, match=r"T1w\.nii shows no brain"):
        conform_image(image, empty, grid, "minmax", tmp_path)


def test_a_cohort_keeps_its_own_images_and_has_the_others_conformed(
    grid: Path, tmp_path: Path
) -> None:
    shape, matrix = GRIDS["1 mm"]
    affine = grid_of(matrix, shape)
    image = save(tmp_path / "T1w.nii", blob(shape, affine), affine)
    mask = save(tmp_path / "mask.nii", ball(shape, affine), affine)
    jacobian = save(tmp_path / "j.nii", blob(shape, affine) / 1000, affine)
    channels = {"t1w": image, "log_jacobian": jacobian}
    own = NormalizedImage("sub-1", "", image, mask, channels, "", "sub-1", "pass")
    bare = replace(own, participant_id="sub-2", dataset="prep", channels={"t1w": image}, quality="")
    other = replace(own, participant_id="sub-3", dataset="prep", quality="")
    table = pd.DataFrame({"participant_id": ["sub-1", "sub-2", "sub-3"]})
    before = Cohort(table, pd.DataFrame(), (own, bare, other), ("a note",))
    after = conform_cohort(before, grid, "minmax", tmp_path / "conformed")
    assert after.table is table
    assert after.notes == ("a note",)
    assert after.files[0] == own
    assert [file.participant_id for file in after.files] == ["sub-1", "sub-2", "sub-3"]
    assert set(after.files[1].channels) == {"t1w"}
    for file in (
        after.files[1].image,
        after.files[2].image,
        after.files[2].channels["log_jacobian"],
    ):
        assert file is not None
        assert file.parent == tmp_path / "conformed"
        assert nib.Nifti1Image.load(file).shape == SHAPE


def test_who_cannot_be_conformed_is_left_out_by_name_and_the_others_stay(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape, matrix = GRIDS["FSL's 2 mm"]
    affine = grid_of(matrix, shape)
    image = save(tmp_path / "T1w.nii", blob(shape, affine), affine)
    away = affine.copy()
    away[:3, 3] += 900
    far = save(tmp_path / "far.nii", blob(shape, affine), away)
    gone = tmp_path / "gone.nii"
    gone.write_bytes(image.read_bytes()[:2000])
    files = tuple(
        NormalizedImage(f"sub-{number}", "", path, None, {"t1w": path}, "prep", "")
        for number, path in enumerate((image, far, image, gone))
    )
    outcome = [1, 1, 0, 1]
    names = [file.participant_id for file in files]
    table = pd.DataFrame({"participant_id": names, "session_id": None, "outcome": outcome})
    earlier = [("sub-9", None, "no group", "n/a")]
    cohort = Cohort(table, pd.DataFrame(earlier, columns=EXCLUSION_COLUMNS), files, ())
    after = conform_cohort(cohort, grid, "minmax", tmp_path / "conformed")
    assert list(after.table["participant_id"]) == ["sub-0", "sub-2"]
    assert [file.participant_id for file in after.files] == ["sub-0", "sub-2"]
    assert list(after.exclusions["participant_id"]) == ["sub-1", "sub-3", "sub-9"]
    assert list(after.exclusions["reason"]) == ["image not usable"] * 2 + ["no group"]
    assert "far.nii shows no brain" in after.exclusions["detail"][0]
    assert "sub-3 is left out: " in capsys.readouterr().err
    same = replace(cohort, table=table.assign(outcome=[1, 0, 1, 0]))
    with pytest.raises(BadData, match=r"2 positive and 0 negative.*image not usable: 2"):
        conform_cohort(same, grid, "minmax", tmp_path / "conformed")
    with pytest.raises(BadData, match=r"nobody is left \(image not usable: 1; no group: 1\)"):
        conform_cohort(
            replace(cohort, table=table[1:2], files=files[1:2]), grid, "minmax", tmp_path
        )


def tissue(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """A head of 40 to 400 in air, with a brain of 300 to 900."""
    waves = np.sin(millimetres(shape, affine) / 9).sum(axis=-1)
    head = np.where(ball(shape, affine, 75) > 0, 220 + 60 * waves, 0)
    return np.where(ball(shape, affine) > 0, 600 + 100 * waves, head).astype(np.float32)


def z_scores(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return (values - values[inside].mean()) / values[inside].std()


SHIFTED = {
    "minus 1024": lambda values, _: values - 1024,
    "-0.5 to 0.5": lambda values, _: values / values.max() - 0.5,
    "z-scored whole": lambda values, _: z_scores(values, np.isfinite(values)),
    "z-scored within the brain": z_scores,
    "1e-9": lambda values, _: values * 1e-12,
    "1e9": lambda values, _: values * 1e6,
    "plus 1000": lambda values, _: values + 1000,
    "air of NaN": lambda values, _: np.where(values > 0, values, np.nan),
    "air of -2000": lambda values, _: np.where(values > 0, values, -2000),
}


def test_offset_unit_and_air_of_another_pipeline_change_nothing(grid: Path, tmp_path: Path) -> None:
    shape, matrix = GRIDS["FSL's 2 mm"]
    affine = grid_of(matrix, shape)
    inside = ball(shape, affine) > 0
    base = tissue(shape, affine)
    mask = save(tmp_path / "mask.nii", inside.astype(np.uint8), affine)

    def conformed(values: np.ndarray, mask: Path | None) -> np.ndarray:
        image = save(tmp_path / "T1w.nii", values.astype(np.float32), affine)
        with_mask = conform_image(image, mask, grid, "minmax", tmp_path)
        return np.asarray(nib.Nifti1Image.load(with_mask).dataobj)

    plain = {path: conformed(base, path) for path in (mask, None)}
    for place, (name, change) in enumerate(SHIFTED.items()):
        with_mask = mask if place % 2 else None
        found = conformed(change(base, inside), with_mask)
        np.testing.assert_allclose(found, plain[with_mask], atol=5e-3, err_msg=name)


def test_a_brain_scored_around_its_background_keeps_its_dark_half(
    grid: Path, tmp_path: Path
) -> None:
    shape, matrix = GRIDS["FSL's 2 mm"]
    affine = grid_of(matrix, shape)
    inside = ball(shape, affine) > 0
    scores = np.where(inside, z_scores(tissue(shape, affine), inside), 0).astype(np.float32)
    image = save(tmp_path / "T1w.nii", scores, affine)
    mask = save(tmp_path / "mask.nii", inside.astype(np.uint8), affine)
    found = np.asarray(
        nib.Nifti1Image.load(conform_image(image, mask, grid, "minmax", tmp_path)).dataobj
    )
    within = ball(SHAPE, AFFINE, 56) > 0
    assert np.mean(found[within] > 0) > 0.99
    expected = tissue(SHAPE, AFFINE)[within]
    assert np.corrcoef(found[within], expected)[0, 1] > 0.99


def test_intensities_that_stay_are_in_the_unit_of_the_file(grid: Path, tmp_path: Path) -> None:
    base = tissue(SHAPE, AFFINE)
    image = save(tmp_path / "T1w.nii", base * 1e-6 - 1e-3, AFFINE)
    data = np.asarray(
        nib.Nifti1Image.load(conform_image(image, None, grid, "none", tmp_path)).dataobj
    )
    np.testing.assert_allclose(data, base * 1e-6, atol=1e-7)


def test_numbers_missing_in_the_brain_are_refused_by_name(grid: Path, tmp_path: Path) -> None:
    base = tissue(SHAPE, AFFINE)
    base[39:44, 45:50, 39:44] = np.nan
    image = save(tmp_path / "T1w.nii", base, AFFINE)
    mask = save(tmp_path / "mask.nii", ball(SHAPE, AFFINE), AFFINE)
    with pytest.raises(BadData, match=r"T1w\.nii: 125 of \d+ voxels of the brain are NaN"):
        conform_image(image, mask, grid, "minmax", tmp_path)

"""Series as channels: as many volumes as each person has, in one array, for steps and models."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.before_fitting import require_files
from bidsapp.representation.chain import Chain
from bidsapp.representation.cohort_array import CohortArray, build_cohort_array
from bidsapp.representation.regions import regional_values
from bidsapp.representation.sample import CohortRow, read_sample
from bidsapp.training.run import TrainingRun

AFFINE = np.diag([10.0, 10, 10, 1])
AFFINE[:3, 3] = -30, -30, -20
SHAPE = (6, 7, 5)
LENGTHS = (30, 24, 36, 30)
ON_10_MM = "preparation.resolution=10;representation.pad=null"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("teh2022").with_values(
        {
            "representation.pad": None,
            "representation.fitted": {"group_ica": {"components": 3, "reduction": 8, "starts": 2}},
        }
    )


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mask") / "mask.nii"
    inside = np.ones(SHAPE, np.uint8)
    inside[0] = 0
    nib.Nifti1Image(inside, AFFINE).to_filename(path)
    return path


def _people(folder: Path) -> list[CohortRow]:
    rng = np.random.default_rng(0)
    rows = []
    for number, length in enumerate(LENGTHS):
        path = folder / f"sub-{number:02d}_bold.nii.gz"
        nib.Nifti1Image(rng.normal(size=(*SHAPE, length)).astype(np.float32), AFFINE).to_filename(
            path
        )
        rows.append(CohortRow(f"sub-{number:02d}", "", {"bold": path}))
    return rows


@pytest.fixture(scope="module")
def array(
    recipe: Recipe, mask: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CohortArray, list[CohortRow]]:
    folder = tmp_path_factory.mktemp("series")
    rows = _people(folder)
    return build_cohort_array(rows, recipe.representation, folder / "arrays", mask), rows


def test_every_volume_is_a_channel_and_shorter_series_end_in_zeros(
    array: tuple[CohortArray, list[CohortRow]], recipe: Recipe, mask: Path
) -> None:
    cohort, rows = array
    assert cohort.volumes == LENGTHS
    assert cohort.shape == (4, 36, *SHAPE)
    assert cohort.channels[:2] == ("bold_001", "bold_002")
    data = cohort.open()
    for row, stored, length in zip(rows, data, LENGTHS, strict=True):
        sample, _ = read_sample(
            row, recipe.representation, nib.Nifti1Image.load(mask).get_fdata() > 0
        )
        assert (stored[:length] == sample.astype(np.float16)).all()
        assert not stored[length:].any()
        assert not stored[:, 0].any()  # outside of the mask
        original = np.moveaxis(nib.Nifti1Image.load(row.images["bold"]).get_fdata(), -1, 0)
        np.testing.assert_allclose(stored[:length, 1:], original[:, 1:], atol=2e-3)


def test_a_series_is_looked_at_as_its_spread_over_time_and_padding_is_none(
    array: tuple[CohortArray, list[CohortRow]],
) -> None:
    cohort, _ = array
    assert cohort.shown == ("bold (SD over time)",)
    for row, length in enumerate(LENGTHS):
        own = cohort.open()[row, :length].astype(float)
        assert cohort.show(row).shape == (1, *SHAPE)
        np.testing.assert_allclose(cohort.show(row)[0], own.std(axis=0), rtol=1e-6)


def test_an_array_of_series_is_opened_again_and_built_anew_for_another_length(
    array: tuple[CohortArray, list[CohortRow]], recipe: Recipe, mask: Path, tmp_path: Path
) -> None:
    cohort, rows = array
    again = build_cohort_array(rows, recipe.representation, cohort.path.parent, mask)
    assert again.path == cohort.path
    assert CohortArray.load(cohort.path) == again
    fewer = build_cohort_array(rows[:2], recipe.representation, tmp_path, mask)
    assert fewer.shape[1] == 30


def test_what_is_no_series_is_refused(recipe: Recipe, mask: Path, tmp_path: Path) -> None:
    path = tmp_path / "sub-01_bold.nii"
    nib.Nifti1Image(np.ones(SHAPE, np.float32), AFFINE).to_filename(path)
    with pytest.raises(BadData, match=r"sub-01_bold.nii has shape \(6, 7, 5\).*4D"):
        build_cohort_array(
            [CohortRow("sub-01", "", {"bold": path})], recipe.representation, tmp_path, mask
        )


@pytest.mark.parametrize(
    ("recipe_name", "change", "message"),
    [
        ("t1w", "representation.fitted=[group_ica]", "takes series of volumes"),
        ("teh2022", "representation.channels=[bold, t1w]", "t1w"),
        ("teh2022", "evaluation.baselines=[nobody]", "motion"),
        ("teh2022", "preparation.resolution=7", "resolution"),
        ("teh2022", ON_10_MM, "at least 19 voxels .* 16x19x16, has 16"),
        ("teh2022", ON_10_MM, "network.resize: 19"),
    ],
)
def test_recipes_that_cannot_be_are_refused_by_key(
    recipe_name: str, change: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(recipe_name, change.split(";"))


def test_a_step_says_before_work_that_its_file_is_missing(tmp_path: Path) -> None:
    steps = {"representation.fitted": {"template_components": {}}}
    recipe = load_recipe("teh2022").with_values(steps)
    with pytest.raises(UsageError, match=r"template_components.maps names no file"):
        require_files(recipe.representation)
    steps = {"representation.fitted": {"template_components": {"maps": str(tmp_path / "no.nii")}}}
    with pytest.raises(NoInput, match=r"no.nii is not there"):
        require_files(load_recipe("teh2022").with_values(steps).representation)


def test_maps_are_brought_to_the_grid_and_the_wrong_place_is_told(tmp_path: Path) -> None:
    from tests.unit.fitted_steps import SPACE, images

    fine = np.zeros((36, 30, 24, 1), np.float32)
    x = np.arange(36) * 0.5
    fine[..., 0] = x[:, None, None]  # a ramp along x in mm, on a grid of half a millimetre
    nib.Nifti1Image(fine, np.diag([0.5, 0.5, 0.5, 1])).to_filename(tmp_path / "ramp.nii")
    wanted = {"template_components": {"maps": str(tmp_path / "ramp.nii")}, "group_ica": None}
    section = load_recipe("teh2022").with_values({"representation.fitted": wanted}).representation
    (step,) = Chain.of(section).steps
    fitted = step.fit(images(0, "template_components"), np.arange(0), None)
    state = fitted.state()
    inside = np.argwhere(state["mask"])[:, 0] * 3.0
    expected = (inside - inside.mean()) / inside.std()
    np.testing.assert_allclose(state["maps"][0], expected, atol=2e-3)
    assert SPACE.shape == state["mask"].shape
    far = np.diag([0.5, 0.5, 0.5, 1])
    far[:3, 3] = 500
    nib.Nifti1Image(fine, far).to_filename(tmp_path / "ramp.nii")
    with pytest.raises(BadData, match="map 1 has no value"):
        step.fit(images(0, "template_components"), np.arange(0), None)


def test_the_linear_baseline_is_given_the_correlations_of_regions(tmp_path: Path) -> None:
    shape = (16, 19, 16)
    affine = np.diag([10.0, 10, 10, 1])
    affine[:3, 3] = -78, -112, -70
    rng = np.random.default_rng(0)
    series = rng.normal(size=(*shape, 40)).astype(np.float32)
    shared = rng.normal(size=40) * 3
    series[:4] += shared
    path = tmp_path / "one.nii"
    nib.Nifti1Image(series, affine).to_filename(path)
    row = CohortRow("sub-1", "", {"bold": path})
    table = regional_values([row], np.ones(shape, bool), affine)
    assert all(name.startswith("region_connectivity_") for name in map(str, table))
    ends = {
        name: (name.split("_")[2] == "-60", name.split("_")[5] == "-60") for name in map(str, table)
    }
    left = [name for name, (one, two) in ends.items() if one and two]
    across = [name for name, (one, two) in ends.items() if one != two]
    assert table[left].to_numpy().mean() > 1.5
    assert abs(table[across].to_numpy()).mean() < 0.3


def test_nodes_of_a_run_find_the_file_that_a_recipe_names_by_its_whole_path(tmp_path: Path) -> None:
    maps = tmp_path / "secret" / "maps.nii.gz"
    recipe = load_recipe("rest", [f"representation.fitted.template_components.maps={maps}"])
    run = TrainingRun(
        recipe, ("base",), tmp_path / "recipe.yaml", tmp_path, tmp_path, tmp_path / "work"
    )
    run.recipe_file.write_text(dump_recipe(recipe))
    assert "secret" not in run.recipe_file.read_text()
    assert run.recipe_of_nodes == run.recipe_file
    run.folder.mkdir()
    (run.folder / "recipe.yaml").write_text(dump_recipe(recipe, folders=True))
    assert load_recipe(run.recipe_of_nodes) == recipe


@pytest.mark.parametrize("recipe", ["teh2022", "rest"])
def test_averages_under_maps_are_refused_for_series(recipe: str) -> None:
    with pytest.raises(UsageError, match=r"saliency.guided: averages images .* names a series"):
        load_recipe(recipe, ["saliency.guided=true"])

"""Maps on slices and spheres: from a network of pictures to group maps, tests and tables."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData, UsageError
from bidsapp.networks.registry import build_network
from bidsapp.recipes import apply_values
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.checks import FoldChecks
from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.people import people_maps
from bidsapp.saliency.regions import region_table
from bidsapp.saliency.stack import MapStack, read_stack
from bidsapp.spaces.files import read_whole
from bidsapp.spaces.slice import Slice, picture
from bidsapp.spaces.sphere import Sphere
from bidsapp.training.augment import move
from tests.unit.saliency_stacks import rows_of
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe, train_and_score

SLICE = picture((16, 12), (0.5, 0.75), "foramen")
SPHERE = Sphere((24, 12), (-np.pi / 2, np.pi / 8), 40.0, label="femur")
PLANTED = (slice(3, 7), slice(4, 8))
ABOUT = {
    "variant": "flat",
    "method": "gradient",
    "target": "logit",
    "units": "logit per unit of input",
    "threshold": 0.5,
}


def stack_on(space: Space, n: int = 30) -> MapStack:
    """Noise, and in positives an effect in a rectangle of the picture; one hold-out."""
    rows = rows_of(n=n, folds=1)
    values = np.random.default_rng(1).standard_normal((n, 1, *space.shape)).astype(np.float32)
    values[(slice(None), 0, *PLANTED)] += 2 * rows["outcome"].to_numpy()[:, None, None]
    return MapStack(rows, values, ("t2w",), space, dict(ABOUT))


def held_out_once(rows: pd.DataFrame) -> pd.DataFrame:
    """Splits of one hold-out: everybody with a map was tested, others trained."""
    tested = rows[["repeat", "fold", "participant_id"]].assign(role="test")
    trained = tested.assign(participant_id="sub-x" + tested["participant_id"], role="train")
    return pd.concat([tested, trained], ignore_index=True)


def mask_on(space: Space, folder: Path) -> Path:
    path = folder / f"mask{space.extension}"
    inside = np.ones(space.shape, np.float32)
    inside[0, 0] = 0
    space.write(path, inside, {})
    return path


@pytest.mark.parametrize("space", [SLICE, SPHERE], ids=["slice", "sphere"])
def test_a_group_s_maps_tests_and_tables_are_made_in_any_space(
    space: Space, tmp_path: Path
) -> None:
    stack = stack_on(space)
    stack.write(tmp_path / "stack")
    folder = tmp_path / "group"
    write_group(
        read_stack(tmp_path / "stack"),
        folder,
        template_label=space.label,
        mask=mask_on(space, tmp_path),
        settings=Saliency(permutations=99, smoothing_fwhm_mm=2 * max(space.spacing)),
        splits=held_out_once(stack.rows),
    )
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test"]["p_from"] == "hold-out"
    found = {}
    for name in ("t", "log10p_fwe", "log10p_tfce"):
        path = folder / summary["maps"][name]
        assert path.name.endswith(space.extension)
        found[name] = space.cut(read_whole(path).values)
    planted = np.zeros(space.shape, bool)
    planted[PLANTED] = True
    points = space.points(planted)
    away = np.linalg.norm(space.points()[:, None] - points, axis=2).min(axis=1)
    for name in ("log10p_fwe", "log10p_tfce"):
        assert found[name].max() == pytest.approx(2)  # of 99 permutations
        assert away[found[name].ravel() > -np.log10(0.05)].max() <= 3 * max(space.spacing)
        assert (found[name][planted] > -np.log10(0.05)).mean() > 0.5
    assert found["t"][0, 0] == 0  # outside of the mask
    peaks = pd.read_csv(folder / "peaks.tsv", sep="\t")
    own = peaks[peaks["map"].str.startswith("positives")].iloc[0]
    near = np.linalg.norm(points - own[["x", "y", "z"]].to_numpy(float), axis=1).min()
    assert near < 2 * max(space.spacing)
    told = json.loads(
        (folder / summary["maps"]["t"]).with_suffix("").with_suffix(".json").read_text()
    )
    assert told["Window"]["Shape"] == list(space.shape)
    assert told["Space"] == space.label


def test_a_mask_of_another_picture_is_refused(tmp_path: Path) -> None:
    for space, other in ((SLICE, picture((12, 16), (0.5, 0.5))), (SPHERE, Sphere((12, 24)))):
        with pytest.raises(BadData, match="lies on a grid of"):
            write_group(
                stack_on(space),
                tmp_path / "group",
                template_label="x",
                mask=mask_on(other, tmp_path),
                settings=Saliency(permutations=0),
            )


def test_means_over_a_sphere_count_cells_by_their_size(tmp_path: Path) -> None:
    """A region of large cells and one of small cells, where the map has other values."""
    from bidsapp.saliency.atlas import Atlas

    stack = stack_on(SPHERE, n=8)
    stack.values[:] = 0
    low = slice(0, 3)  # about the pole: small cells
    stack.values[..., low] = 4
    stack.values[..., 3:] = 1
    people = people_maps(stack, np.ones(SPHERE.shape, bool), fwhm_mm=0, cell="all")
    labels = np.ones(SPHERE.shape, np.int32)
    regions = pd.DataFrame({"index": [1], "name": ["all"], "also": [""]})
    table = region_table(
        people, "all", [Atlas("one", labels, regions)], rng=np.random.default_rng(0)
    )
    sizes = SPHERE.sizes().reshape(SPHERE.shape)
    wanted = (4 * sizes[:, low].sum() + sizes[:, 3:].sum()) / sizes.sum()
    assert table.loc[0, "mean"] == pytest.approx(wanted)
    assert table.loc[0, "enrichment"] == pytest.approx(1)
    assert wanted < stack.values[0].mean() - 0.3


FLAT = {
    "representation": {"kind": "slice", "plane": None, "slices": None},
    "network": {"dims": 2},
    "training": {"epochs": 1, "batch_size": 4, "augmentation": {"rotation": 10, "flip": 0.5}},
    "protocol": {"kind": "kfold", "folds": 2},
}


@pytest.mark.parametrize(
    "saliency",
    [
        {"method": "gradient"},
        {"method": "grad_cam", "stage": 2},
        {"method": "occlusion", "patch_mm": 24},
        {"method": "integrated_gradients", "samples": 4},
        {"method": "smoothgrad", "samples": 2},
    ],
    ids=lambda one: one["method"],
)
def test_a_network_of_pictures_is_trained_scored_and_explained(
    saliency: dict, tmp_path: Path, trained: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bidsapp.saliency.methods.integrated.MOST_NODES", 8)
    task = trained[0]
    recipe = apply_values(
        task.recipe, {f"saliency.{key}": value for key, value in saliency.items()}
    )
    task = replace(task, recipe=recipe)
    mask = tmp_path / "mask.nii.gz"
    affine = np.array(task.images.space.to_dict()["grid_affine"])
    nib.save(nib.Nifti1Image(np.ones((32, 28, 1), np.uint8), affine), mask)
    job = FoldMapsTask(task, tmp_path / "maps", mask, checks=saliency["method"] == "gradient")
    explain_fold(job)
    stack = read_stack(job.folder)
    assert isinstance(stack.space, Slice)
    assert stack.values.shape == (len(task.rows("test")), 1, 32, 28)
    assert np.isfinite(stack.values).all()
    assert stack.values.any()
    if job.checks:
        found = FoldChecks.read(job.checks_file)
        assert found.trained.shape == (32, 28)
        assert np.isfinite(found.effects).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list:
    tasks = prepare_tasks(
        tmp_path_factory.mktemp("flat"), small_recipe(**FLAT), n=12, shape=(32, 28, 1)
    )
    assert tasks[0].images.shape == (12, 1, 32, 28)
    train_and_score(tasks[0])
    return tasks


def test_pictures_need_a_network_of_two_dimensions() -> None:
    with pytest.raises(ValueError, match=r"network\.dims"):
        small_recipe(**(FLAT | {"network": {"dims": 3}}))
    section = small_recipe().network
    with pytest.raises(UsageError, match="these images are pictures; say dims: 2"):
        build_network(section, 1, shape=(32, 28))


def test_a_slice_is_refused_where_the_images_are_volumes(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"takes an image of one slice, not"):
        prepare_tasks(tmp_path, small_recipe(**FLAT), n=4, shape=(12, 12, 4))


def test_pictures_are_turned_in_their_plane_alone() -> None:
    import torch

    section = small_recipe(**FLAT).training.augmentation
    images = torch.arange(2 * 9 * 9, dtype=torch.float32).reshape(2, 1, 9, 9)
    flat = move(images, section, torch.Generator().manual_seed(0))
    thick = move(images.unsqueeze(-1), section, torch.Generator().manual_seed(0), flat=2)
    assert flat.shape == images.shape
    assert torch.equal(flat, thick.squeeze(-1))
    assert not torch.equal(flat, images)

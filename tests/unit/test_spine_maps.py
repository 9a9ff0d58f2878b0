"""Maps of the study's other methods: made by its network on regions, and back on the person."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates

from bidsapp.contracts.unit import Unit
from bidsapp.modalities.spine.files import write_frame
from bidsapp.modalities.spine.modality import MODALITY
from bidsapp.modalities.spine.region import common_frame
from bidsapp.recipes import Recipe, apply_values, load_recipe
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.representation.sample import CohortRow
from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.native import without_native
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.stack import MapStack, join
from bidsapp.training.splits import make_splits
from bidsapp.training.task import FoldTask
from tests.unit.spine_necks import MIDLINE, foramen_mm
from tests.unit.synthetic_cohort import train_and_score
from tests.unit.test_spine_home import prepared

SIZE = 48
# left and right, stored in other orders of voxels: pictures are alike, as necks are symmetric
STORED = {
    "a": ("L", {}),
    "b": ("R", {"order": (1, 2, 0), "flips": (-1, 1, 1)}),
    "c": ("L", {"flips": (-1, 1, 1)}),
    "d": ("R", {"flips": (1, -1, 1)}),
}
SMALL = {
    "network.start": "random",
    "training.epochs": 1,
    "training.batch_size": 8,
    "protocol.folds": 2,
    "saliency.permutations": 0,
}


@pytest.fixture(scope="module")
def fold(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FoldTask]:
    """Four regions in an output folder, and the study's network trained on them for a moment."""
    out = tmp_path_factory.mktemp("necks")
    rows, lines = [], []
    for number, (label, (side, stored)) in enumerate(STORED.items()):
        picture, _ = prepared(out, side, label, SIZE, **stored)
        rows.append(CohortRow(f"sub-{label}", "", {"t2w": picture}, f"C6{side}"))
        lines.append((f"sub-{label}", "", f"C6{side}", number // 2))
    columns = ["participant_id", "session_id", "part_id", "outcome"]
    table = pd.DataFrame(lines, columns=columns)
    recipe = recipe_of("cam7")
    splits = make_splits(table, recipe.protocol)
    table.to_csv(out / "cohort.tsv", sep="\t", index=False)
    splits.to_csv(out / "splits.tsv", sep="\t", index=False)
    images = build_cohort_array(rows, recipe.representation, out / "arrays")
    tables = (out / "cohort.tsv", out / "splits.tsv")
    how = {"device": "cpu", "threads": 1}
    task = FoldTask(recipe, "cam7", 0, 0, images.path, *tables, out / "fold", **how)
    train_and_score(task)
    return out, task


def recipe_of(variant: str) -> Recipe:
    # windows twice as wide, of which there are a quarter as many
    wide = {"saliency.patch_mm": 7.2} if variant == "occlusion" else {}
    return apply_values(load_recipe("wang2023").with_variant(variant), SMALL | wide)


def maps_of(folder: Path, task: FoldTask, recipe: Recipe) -> MapStack:
    """Maps of all four by the network of one fold: of those whom it held out, and of the others."""
    mask = write_frame(folder / "mask.nii.gz", SIZE)
    folders = []
    for role in ("test", "train"):
        job = FoldMapsTask(
            replace(task, recipe=recipe), folder / role, mask, role=role, checks=False
        )
        explain_fold(job)
        folders.append(job.folder)
    return join(folders, folder / "joined")


def across(path: Path, side: str) -> np.ndarray:
    """Values of an image from the midline outwards, and from back to front, over the region."""
    image = nib.Nifti1Image.load(path)
    outwards, front = np.meshgrid(np.arange(8, 30, 0.5), np.arange(-12, 13, 0.5), indexing="ij")
    points = np.empty((*outwards.shape, 3))
    points[..., 0] = MIDLINE + outwards * (1 if side == "R" else -1)
    points[..., 1] = foramen_mm(side)[1] + front
    points[..., 2] = image.affine[2, 3]
    inverse = np.linalg.inv(image.affine)
    voxels = points @ inverse[:3, :3].T + inverse[:3, 3]
    plane = np.moveaxis(voxels[..., :2], -1, 0)
    return map_coordinates(image.get_fdata()[..., 0], plane, order=1)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("variant", ["cam7", "occlusion"])
def test_maps_of_the_studys_network_are_made_and_lie_on_each_ones_own_side(
    fold: tuple[Path, FoldTask], tmp_path: Path, variant: str
) -> None:
    out, task = fold
    recipe = recipe_of(variant)
    stack = maps_of(tmp_path, task, recipe)
    assert stack.values.shape == (4, 1, SIZE, SIZE)
    assert np.isfinite(stack.values).all()
    group = tmp_path / "group"
    write_group(
        stack,
        group,
        template_label="foramen",
        mask=tmp_path / "mask.nii.gz",
        settings=recipe.saliency,
    )
    (mean,) = group.glob("group_of-all_desc-*_statmap.nii.gz")
    assert nib.Nifti1Image.load(mean).shape == (SIZE, SIZE, 1)
    np.testing.assert_allclose(
        nib.Nifti1Image.load(mean).affine, common_frame(SIZE).affine, atol=1e-4
    )
    assert np.ptp(nib.Nifti1Image.load(mean).get_fdata()) > 0
    images = {
        Unit(f"sub-{who}", "", f"C6{side}"): (
            f"sub-{who}/anat/sub-{who}_space-foramen_desc-C6{side}preproc_T2w.nii.gz"
        )
        for who, (side, _) in STORED.items()
    }
    home = partial(MODALITY.home, channel="t2w")
    place = MapPlace(tmp_path / "people", out, "foramen", "", images, native=True, home=home)
    write_people(stack, place, {"verdict": "pass", "sentences": []}, recipe.saliency)
    assert without_native(tmp_path / "people") == []
    found = {}
    for who, (side, _) in STORED.items():
        (own,) = (tmp_path / f"people/sub-{who}").rglob(f"sub-{who}_label-C6{side}_*.nii.gz")
        scan = nib.Nifti1Image.load(out / f"sub-{who}/anat/sub-{who}_desc-C6{side}slice_T2w.nii.gz")
        assert nib.Nifti1Image.load(own).shape == scan.shape
        np.testing.assert_allclose(nib.Nifti1Image.load(own).affine, scan.affine, atol=1e-4)
        found[who] = across(own, side)
    # a left and a right neck are each other in a mirror, and so are their maps on the person
    for one, other in (("a", "b"), ("c", "d")):
        assert alike(found[one], found[other]) > 0.9
        assert alike(found[one], found[other][::-1]) < 0.8

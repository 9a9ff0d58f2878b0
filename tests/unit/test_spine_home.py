"""A map of a picture goes back onto the person's own slice, un-mirrored, on that slice's grid."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.unit import Unit
from bidsapp.errors import BadData, NoInput
from bidsapp.modalities.spine.files import write_region_files
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.modality import MODALITY
from bidsapp.modalities.spine.region import common_frame, make_region
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.native import without_native
from bidsapp.saliency.participant_maps import MapPlace, write_people
from tests.unit.saliency_stacks import make_stack, rows_of
from tests.unit.spine_necks import box_about, foramen_mm, stack_of

SIZE = 100


def prepared(
    out: Path, side: str, who: str = "", size: int = SIZE, **how: object
) -> tuple[Path, np.ndarray]:
    """Write what the participant level writes of an injection; its picture's file and values."""
    stem = f"sub-{who or side}"
    folder = out / stem / "anat"
    folder.mkdir(parents=True)
    stack = stack_of(folder, side, **how)
    index, box = box_about(stack, foramen_mm(side))
    roi = Roi(Injection("C6", side), index, box, "x_roi.tsv")
    region = make_region(stack, roi, find_midline(stack, index, None), size=size)
    picture = folder / f"{stem}_space-foramen_desc-C6{side}preproc_T2w.nii.gz"
    whole, part = (
        folder / f"{stem}_desc-C6{side}{name}_T2w.nii.gz" for name in ("slice", "region")
    )
    write_region_files(region, whole, part, picture)
    told = picture.with_name(picture.name.replace(".nii.gz", ".json"))
    told.write_text(json.dumps({"Space": region.space.to_dict()}))
    return picture, region.picture.astype(np.float32)


def test_the_maps_of_both_sides_lie_on_their_own_foramina(tmp_path: Path) -> None:
    found = {
        "L": prepared(tmp_path, "L", degrees=(0, 0, 7)),
        "R": prepared(tmp_path, "R", order=(1, 2, 0), flips=(-1, 1, 1)),
    }
    rows = rows_of(n=2, folds=1).assign(participant_id=["sub-L", "sub-R"], part_id=["C6L", "C6R"])
    values = np.stack([values[None] for _, values in found.values()])
    plain = make_stack(rows_of(n=2, folds=1))
    stack = replace(plain, rows=pd.DataFrame(rows), values=values, space=common_frame(SIZE))
    images = {
        Unit(f"sub-{side}", "", f"C6{side}"): str(path.relative_to(tmp_path))
        for side, (path, _) in found.items()
    }
    home = partial(MODALITY.home, channel="t2w")
    place = MapPlace(tmp_path / "maps", tmp_path, "foramen", "", images, native=True, home=home)
    write_people(stack, place, {"verdict": "pass", "sentences": []}, Saliency())
    assert without_native(tmp_path / "maps") == []
    for side, (path, _) in found.items():
        own = tmp_path / f"maps/sub-{side}/anat/sub-{side}_label-C6{side}_desc-gradient_statmap"
        image = nib.Nifti1Image.load(f"{own}.nii.gz")
        scan = path.with_name(f"sub-{side}_desc-C6{side}slice_T2w.nii.gz")
        assert image.shape == nib.Nifti1Image.load(scan).shape
        np.testing.assert_allclose(image.affine, nib.Nifti1Image.load(scan).affine, atol=1e-4)
        there = np.argwhere(image.get_fdata() > 240).mean(axis=0)
        place_mm = (image.affine @ [*there, 1])[:3]
        assert np.linalg.norm((place_mm - foramen_mm(side))[:2]) < 1.5
        said = json.loads(Path(f"{own}.json").read_text())
        assert said["Window"]["Mirrored"] == (side == "L")
        assert said["Sources"][-1] == f"bids::{scan.relative_to(tmp_path).as_posix()}"
        assert not {"Space", "SpatialReference"} & set(said)


def test_a_slice_that_is_gone_or_another_is_said(tmp_path: Path) -> None:
    picture, _ = prepared(tmp_path, "L")
    told = picture.with_name(picture.name.replace(".nii.gz", ".json"))
    space = json.loads(told.read_text())["Space"]
    told.write_text(json.dumps({"Space": space | {"grid_shape": [7, 7, 1]}}))
    with pytest.raises(BadData, match="its Space is not the grid of sub-L_desc-C6Lslice"):
        MODALITY.home(picture, "t2w")
    picture.with_name("sub-L_desc-C6Lslice_T2w.nii.gz").unlink()
    with pytest.raises(NoInput, match=r"slice_T2w\.nii\.gz is not there; run the"):
        MODALITY.home(picture, "t2w")

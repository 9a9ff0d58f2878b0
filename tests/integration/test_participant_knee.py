"""Knees from label maps to maps of their bones, as a user runs it; bad ones harm no others."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.modalities.knee.phantom import make_knee_phantom
from bidsapp.spaces import read_space
from bidsapp.spaces.files import read_whole
from tests.integration.running import Ended, run_app, validation_errors

RECIPE = """
name: knees
summary: Synthetic knees
outcome: {column: chronic_pain, positive: ["1"]}
preparation: {modality: knee, t2: true, pixels: 64, bones: [tibia, patella]}
representation: {kind: sphere}
network: {name: resnet, depth: 10, start: random, dims: 2}
training: {epochs: 1}
protocol: {kind: kfold, folds: 2}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("knees")
    bids, out = folder / "bids", folder / "out"
    make_knee_phantom(bids, participants=4, spacing=(1.5, 1.3, 1.3))
    (folder / "knees.yaml").write_text(RECIPE)
    # The second has no patella; the fourth's echo times are milliseconds.
    path = next((bids / "derivatives" / "labels" / "sub-02").rglob("*_dseg.nii.gz"))
    image = nib.Nifti1Image.load(path)
    data = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(data == 6, 0, data).astype(np.uint8), image.affine), path)
    sidecar = next((bids / "sub-04").rglob("*_echo-2_MESE.json"))
    sidecar.write_text(json.dumps({"EchoTime": 20}))
    return run_app(bids, out, "--recipe", folder / "knees.yaml", "-w", folder / "work")


def anat(ran: Ended, label: str) -> Path:
    return ran.output_dir / f"sub-{label}" / "anat"


def test_bad_knees_are_told_and_harm_no_others(ran: Ended) -> None:
    assert ran.code == 65
    assert "the patella (label 6 by desc-knee_dseg.tsv) has no voxels" in ran.said
    assert "EchoTime is 20; BIDS has it in seconds" in ran.said
    assert "2 of 4 prepared" in ran.said
    assert not list(anat(ran, "02").glob("*"))
    for label in ("01", "03"):
        assert len(list(anat(ran, label).glob("*_statmap.shape.gii"))) == 12


def test_what_is_written_is_valid_bids(ran: Ended) -> None:
    assert validation_errors(ran.bids_dir) == (0, [])
    assert validation_errors(ran.output_dir) == (0, [])


def test_the_side_is_told_and_left_knees_are_mirrored(ran: Ended) -> None:
    told = {
        label: json.loads(next(anat(ran, label).glob("*_desc-joint_dseg.json")).read_text())
        for label in ("01", "03")
    }
    assert [told[label]["KneeSide"] for label in told] == ["R", "L"]
    assert told["01"]["KneeSideBy"] == "told by participants.tsv"
    assert told["03"]["Mirrored"] is True
    assert "A left knee" in " ".join(told["03"]["Notes"])
    assert len(told["01"]["SourcesSHA256"]) == 9  # image, labels, seven echoes


def test_surfaces_lie_around_their_bones_and_turn_outwards(ran: Ended) -> None:
    for label in ("01", "03"):
        labels = nib.Nifti1Image.load(next(anat(ran, label).glob("*_desc-joint_dseg.nii.gz")))
        names = json.loads(next(anat(ran, label).glob("*_desc-joint_dseg.json")).read_text())
        number = next(int(n) for n, name in names["Labels"].items() if name == "patella")
        voxels = np.argwhere(np.asarray(labels.dataobj) == number)
        bone = nib.affines.apply_affine(labels.affine, voxels)
        surface = nib.GiftiImage.load(next(anat(ran, label).glob("*_desc-patella_mesh.surf.gii")))
        (points,) = surface.get_arrays_from_intent("NIFTI_INTENT_POINTSET")
        (faces,) = surface.get_arrays_from_intent("NIFTI_INTENT_TRIANGLE")
        np.testing.assert_allclose(points.data.min(0), bone.min(0), atol=2)
        np.testing.assert_allclose(points.data.max(0), bone.max(0), atol=2)
        a, b, c = (points.data[faces.data[:, i]].astype(float) for i in range(3))
        volume = (a * np.cross(b, c)).sum() / 6
        voxel = abs(np.linalg.det(labels.affine))
        assert volume == pytest.approx(len(voxels) * voxel, rel=0.06)
        values = nib.GiftiImage.load(
            next(anat(ran, label).glob("*_desc-patellavalues_mesh.shape.gii"))
        )
        assert {array.intent for array in values.darrays} == {
            nib.nifti1.intent_codes["NIFTI_INTENT_SHAPE"]
        }
        named = {array.meta["Name"]: array.data for array in values.darrays}
        assert len(named) == 6
        assert all(len(data) == len(points.data) for data in named.values())
        assert np.nanmedian(named["t2"]) == pytest.approx(40, abs=3)


def test_maps_tell_their_sphere_and_have_it_in_common(ran: Ended) -> None:
    spaces = []
    for label in ("01", "03"):
        path = next(anat(ran, label).glob("*_desc-tibiathickness_statmap.shape.gii"))
        whole = read_whole(path)
        space = read_space(whole.told)
        assert space.shape == whole.values.shape == (64, 64)
        assert np.isfinite(whole.values).all()
        assert 1 < whole.values[whole.values > 0].mean() < 4
        spaces.append(space)
        sidecar = json.loads(path.with_name(path.name.replace(".shape.gii", ".json")).read_text())
        directions = np.array(sidecar["Grid"]["Directions"])
        np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-4)
        # The tibia's joint is up; a left knee's second axis is turned round.
        assert directions[2] @ [0, 0, -1] == pytest.approx(1, abs=1e-4)
        assert np.linalg.det(directions) == pytest.approx(1 if label == "01" else -1)
    assert spaces[0].same_whole(spaces[1])


def dseg(ran: Ended, label: str) -> Path:
    return next(anat(ran, label).glob("*_desc-joint_dseg.nii.gz"))


def test_a_map_comes_home_to_the_surface_that_it_was_seen_on(ran: Ended) -> None:
    from bidsapp.modalities.knee.modality import MODALITY

    for label in ("01", "03"):  # a right knee, and a left one
        home = MODALITY.home(dseg(ran, label), "patella_thickness")
        assert home is not None
        assert home.structure == "patella"
        values = nib.GiftiImage.load(
            next(anat(ran, label).glob("*_desc-patellavalues_mesh.shape.gii"))
        )
        (own,) = (one.data for one in values.darrays if one.meta["Name"] == "thickness")
        picture = read_whole(
            next(anat(ran, label).glob("*_desc-patellathickness_statmap.shape.gii"))
        ).values
        back = home.space.put_back(picture.astype(np.float32), np.nan)
        covered = (own > 0.5) & np.isfinite(back)
        assert covered.sum() > 0.9 * (own > 0.5).sum()
        assert np.abs(back - own)[covered].mean() < 0.2  # 64 pixels round a coarse phantom
        (points,) = nib.GiftiImage.load(home.file).get_arrays_from_intent("NIFTI_INTENT_POINTSET")
        assert home.space.whole_shape == (len(points.data),)


def test_halves_of_a_map_lie_on_their_own_side(ran: Ended) -> None:
    from bidsapp.modalities.knee.modality import MODALITY

    for label in ("01", "03"):
        home = MODALITY.home(dseg(ran, label), "tibia_thickness")
        assert home is not None
        labels = nib.Nifti1Image.load(dseg(ran, label))
        told = json.loads(dseg(ran, label).with_suffix("").with_suffix(".json").read_text())
        numbers = {name: int(number) for number, name in told["Labels"].items()}
        points = (
            nib.GiftiImage.load(home.file).get_arrays_from_intent("NIFTI_INTENT_POINTSET")[0].data
        )
        for name, cells in MODALITY.regions(home.space).items():
            half = home.space.put_back(cells.astype(np.float32)) > 0.5
            side, _, bone = name.partition(" ")
            assert bone == "tibia"
            plate = np.argwhere(np.asarray(labels.dataobj) == numbers[f"{side}_tibial_cartilage"])
            middle = nib.affines.apply_affine(labels.affine, plate).mean(0)
            near = np.linalg.norm(points - middle, axis=1) < 12
            assert half[near].mean() > 0.9


def test_maps_of_two_knees_are_matched(ran: Ended) -> None:
    from bidsapp.modalities.knee.modality import MODALITY

    one, other = (MODALITY.home(dseg(ran, label), "patella_shape") for label in ("01", "03"))
    assert one is not None
    assert other is not None
    theirs = np.asarray(other.space.mesh.vertices, float)  # type: ignore[attr-defined]
    ours = np.asarray(one.space.mesh.vertices, float)  # type: ignore[attr-defined]
    carry, same = MODALITY.carried(one, other), MODALITY.carried(one, one)
    for axis in range(3):  # a right knee and a left one, of different people, lie alike
        found = carry(theirs[:, axis])
        known = np.isfinite(found)
        assert known.mean() > 0.8
        assert np.corrcoef(found[known], ours[known, axis])[0, 1] > 0.8
        own = same(ours[:, axis])
        assert np.nanmax(np.abs(own - ours[:, axis])) < 0.5


def test_a_knee_without_its_surface_has_no_home(ran: Ended, tmp_path: Path) -> None:
    import shutil

    from bidsapp.errors import BadData, NoInput
    from bidsapp.modalities.knee.modality import MODALITY

    copy = tmp_path / "anat"
    shutil.copytree(anat(ran, "01"), copy)
    image = next(copy.glob("*_desc-joint_dseg.nii.gz"))
    sidecar = next(copy.glob("*_desc-tibiashape_statmap.json"))
    told = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({k: v for k, v in told.items() if k != "Grid"}))
    with pytest.raises(BadData, match="its Grid cannot be used"):
        MODALITY.home(image, "tibia_shape")
    next(copy.glob("*_desc-tibia_mesh.surf.gii")).unlink()
    with pytest.raises(NoInput, match="is not there; run the participant level on this knee"):
        MODALITY.home(image, "tibia_shape")


def test_pages_tables_and_words(ran: Ended) -> None:
    page = (ran.output_dir / "sub-03.html").read_text()
    assert "left knee" in page
    assert "Map of T2 of the whole cartilage of the tibia" in page
    viewer = ran.output_dir / "sub-03" / "figures" / "sub-03_acq-DESS_desc-bones_surface.html"
    assert viewer.relative_to(ran.output_dir).as_posix() in page
    assert "niivue" in viewer.read_text().lower()
    table = pd.read_csv(ran.output_dir / "group" / "quality.tsv", sep="\t")
    assert {"tibia_thickness_mm", "patella_t2_fitted_share", "patella_t2_goodness"} <= set(table)
    words = (ran.output_dir / "logs" / "CITATION.md").read_text()
    assert "1 left knee was mirrored" in words


def test_pages_are_made_again(ran: Ended) -> None:
    page = ran.output_dir / "sub-01.html"
    page.unlink()
    again = run_app(ran.bids_dir, ran.output_dir, "--reports-only")
    assert again.code in (0, 65), again.said
    assert "right knee" in page.read_text()

"""The participant level on necks: regions of injections, missing boxes, what is refused."""

import json
import re
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.validation import find_validator
from bidsapp.derivatives.finished import finished_images
from bidsapp.modalities.spine.region import common_frame
from bidsapp.modalities.spine.settings import SpinePreparation
from bidsapp.modalities.spine.stack import Stack, read_stack
from bidsapp.spaces import Slice, read_space
from tests.integration.running import Ended, run_app, tree
from tests.unit import chromium
from tests.unit.spine_necks import box_about, foramen_mm, grid, sampled, save
from tests.unit.test_spine_proposals import cord_of, vertebrae_of

RECIPE = """
name: necks
summary: regions of injections
preparation: {modality: spine, rater: AB}
representation: {kind: volume}
network: {name: efficientnetv2, depth: 0, dims: 2, start: random}
"""
STORED = {
    "las": {"flips": (-1, 1, 1)},
    "psr": {"order": (1, 2, 0), "flips": (-1, 1, 1)},
    "two": {},
    "wrong": {},
    "none": {},
    "told": {},
}
SIDE = {"psr": "R"}


def person(bids: Path, label: str) -> Stack:
    side = SIDE.get(label, "L")
    shape, affine = grid(**STORED[label])
    path = bids / f"sub-{label}/anat/sub-{label}_acq-axial_T2w.nii.gz"
    save(path, sampled(shape, affine, side), affine)
    path.with_name(f"sub-{label}_acq-axial_T2w.json").write_text(json.dumps({"BodyPart": "CSPINE"}))
    return read_stack(path)


def boxes(bids: Path, label: str, *rows: str) -> None:
    path = bids / f"derivatives/rois/sub-{label}/anat/sub-{label}_acq-axial_desc-foramen_roi.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "level side slice i0 i1 j0 j1 rater date"
    path.write_text("\n".join([head, *rows, ""]).replace(" ", "\t"))


def row(
    stack: Stack,
    side: str,
    level: str = "C6",
    where: str = "",
    rater: str = "AB",
    step: int = 0,
    date: str = "n/a",
) -> str:
    index, box = box_about(stack, foramen_mm(where or side))
    i0, i1, j0, j1 = box
    return f"{level} {side} {index} {i0 + step} {i1 + step} {j0} {j1} {rater} {date}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    root = tmp_path_factory.mktemp("necks")
    bids = root / "bids"
    stacks = {label: person(bids, label) for label in STORED}
    description = {"Name": "necks", "BIDSVersion": "1.10.0"}
    (bids / "dataset_description.json").write_text(json.dumps(description))
    lines = [f"sub-{label}\t{'C7' if label == 'told' else 'n/a'}\t"
             f"{'left' if label == 'told' else 'n/a'}\t"
             f"{'2024-05-01' if label == 'two' else 'n/a'}" for label in STORED]  # fmt: skip
    head = "participant_id\tinjection_level\tinjection_side\toutcome_date"
    (bids / "participants.tsv").write_text("\n".join([head, *lines, ""]))
    second = row(stacks["las"], "L", rater="CD", step=3)
    stray = row(stacks["psr"], "R", "C7", where="L", rater="CD")
    boxes(bids, "las", row(stacks["las"], "L"), second)
    boxes(bids, "psr", row(stacks["psr"], "R", "C7"), stray)
    late = row(stacks["two"], "L", rater="EF", step=2, date="2024-06-01")
    boxes(bids, "two", row(stacks["two"], "L"), row(stacks["two"], "R", "C5"), late)
    boxes(bids, "wrong", row(stacks["wrong"], "L", where="R"))
    for label in ("told", "none"):
        anat = bids / f"derivatives/rois/sub-{label}/anat"
        stem, stack = f"sub-{label}_acq-axial_label", stacks[label]
        save(anat / f"{stem}-cord_mask.nii.gz", cord_of(stack).astype(np.uint8), stack.affine)
        levels = vertebrae_of(stack) + (0 if label == "told" else 30)
        save(anat / f"{stem}-vertebrae_dseg.nii.gz", levels.astype(np.uint8), stack.affine)
    boxes(bids, "none")  # a table without a row places nothing
    made = description | {"DatasetType": "derivative", "GeneratedBy": [{"Name": "a reader"}]}
    (bids / "derivatives/rois/dataset_description.json").write_text(json.dumps(made))
    recipe = root / "necks.yaml"
    recipe.write_text(RECIPE)
    before = tree(bids)
    ended = run_app(bids, root / "out", "--recipe", recipe, "-w", root / "work")
    assert tree(bids) == before
    return ended


def test_who_has_a_box_is_prepared_and_all_others_are_told_why(run: Ended) -> None:
    assert run.code == 65
    found = {(one.participant, one.names.part): one for one in finished_images(run.output_dir)}
    assert set(found) == {("sub-las", "C6L"), ("sub-psr", "C7R"), ("sub-two", "C6L"),
                          ("sub-two", "C5R")}  # fmt: skip
    verdicts = {one.label: one.quality["verdict"] for one in found.values()}
    # the foramen on the right of this neck is as dark as what is around it
    assert verdicts.pop("sub-two C5R") == "warn"
    assert set(verdicts.values()) == {"pass"}
    assert "the box of C6-L lies on the patient's right (by the affine" in run.said
    assert "sub-none_acq-axial_T2w.nii.gz: no box is placed yet" in run.said
    assert "sub-told_acq-axial_T2w.nii.gz: no box for C7-L is placed yet" in run.said
    assert "roi.html shows 2 images for placing boxes" in run.said
    page = (run.output_dir / "roi.html").read_text()
    assert "sub-none" in page
    assert "sub-las" not in page


def test_each_injection_of_a_person_is_told_by_its_own_name(run: Ended) -> None:
    assert "sub-two C6-L: pass" in run.said
    assert "sub-two C5-R: warn" in run.said
    (table,) = (run.output_dir / "logs").glob("participant-*.tsv")
    rows = pd.read_csv(table, sep="\t", keep_default_na=False)
    done = rows[rows["status"] == "done"]
    own = set(zip(done["participant_id"], done["part_id"], strict=True))
    assert {("sub-two", "C6-L"), ("sub-two", "C5-R")} <= own
    assert len(own) == len(done)


def test_a_box_is_proposed_where_cord_and_vertebrae_are_labelled(run: Ended) -> None:
    page = (run.output_dir / "roi.html").read_text()
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    necks = {neck["label"]: neck for neck in json.loads(found[1])["necks"]}
    (proposed,) = necks["sub-told"]["rois"]
    assert (proposed["level"], proposed["side"], proposed["status"]) == ("C7", "L", "proposed")
    assert necks["sub-none"]["rois"] == []
    assert any(necks["sub-none"]["beside"]["R"])
    assert "No box is proposed: " in run.said
    assert "label-vertebrae_dseg.nii.gz: no label is one of the vertebrae" in run.said


def test_pictures_are_alike_lie_in_one_frame_and_lead_home(run: Ended) -> None:
    pictures = {}
    for one in finished_images(run.output_dir):
        image = nib.Nifti1Image.load(one.names.path("picture"))
        assert image.shape == (100, 100, 1)
        np.testing.assert_allclose(image.affine, common_frame(100).affine, atol=1e-4)
        values = np.asarray(image.dataobj)
        assert values.min() == 0
        assert values.max() == pytest.approx(1, abs=1e-6)
        pictures[one.label] = values[..., 0]
        space = read_space(one.sidecar["Space"])
        assert isinstance(space, Slice)
        assert space.mirrored == (one.sidecar["Side"] == "L")
        home = space.put_back(values[..., 0])
        slice_image = nib.Nifti1Image.load(one.names.path("slice"))
        assert home.shape == slice_image.shape
        np.testing.assert_allclose(slice_image.affine, np.array(space.grid_affine), atol=1e-4)
        region = nib.Nifti1Image.load(one.names.path("region"))
        bright = np.argwhere(home[..., 0] > 0.97).mean(axis=0)
        side = one.sidecar["Side"]
        if one.label not in ("sub-two C5R",):  # on that side the foramen is dark
            place = slice_image.affine @ [*bright, 0, 1]
            assert np.linalg.norm((place[:3] - foramen_mm(side))[:2]) < 1.5
        corner = region.affine @ [0, 0, 0, 1]
        first = slice_image.affine @ [*space.start, 0, 1]
        np.testing.assert_allclose(corner, first, atol=1e-3)
    one, other = pictures["sub-las C6L"].ravel(), pictures["sub-psr C7R"].ravel()
    assert np.corrcoef(one, other)[0, 1] > 0.95


def test_another_raters_boxes_are_compared_and_one_that_cannot_be_is_told(run: Ended) -> None:
    told = {one.label: one.sidecar for one in finished_images(run.output_dir)}
    (other,) = told["sub-las C6L"]["OtherRaters"]
    assert other["Rater"] == "CD"
    assert other["ApartMM"] == pytest.approx(3 * 0.8, abs=0.01)
    assert 0.8 < other["Overlap"] < 0.95
    assert "OtherRaters" not in told["sub-two C6L"]
    assert "OtherRaters" not in told["sub-psr C7R"]
    (note,) = told["sub-psr C7R"]["Notes"]
    assert "box of rater CD is left out" in note
    assert "on the patient's left" in note
    (note,) = told["sub-two C6L"]["Notes"]
    assert "box of rater EF is left out" in note
    assert "drawn on 2024-06-01, after the outcome was known (2024-05-01)" in note


def test_pages_and_words_tell_of_regions(run: Ended) -> None:
    page = (run.output_dir / "sub-two_C5R.html").read_text()
    assert "sub-two C5 right" in page
    assert "the slice's own symmetry" in page.replace("&#39;", "'")
    words = (run.output_dir / "logs" / "CITATION.md").read_text()
    assert "regions of 4 injections of 3 people" in words
    assert "cut at the midline (by the symmetry of the slice)" in words
    overview = (run.output_dir / "quality.html").read_text()
    assert "sub-two C5R" in overview
    assert "from the midline at the left outwards, front on top" in overview
    for word in ("template", "sagittal", "brain"):
        assert word not in re.sub(
            r"<style>.*?</style>|<script>.*?</script>", "", overview, flags=re.S
        )
    figures = list(run.output_dir.glob("sub-two/figures/*thumbnail.jpg"))
    assert len(figures) == 2


@pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there")
def test_pages_fit_every_screen(run: Ended) -> None:
    pages = ("quality.html", "sub-two_C5R.html", "roi.html")
    with chromium.browser() as window:
        for name in pages:
            for width, dark in ((1280, False), (390, True)):
                window.screen(width, dark=dark)
                window.open(run.output_dir / name)
                fits = "return document.documentElement.scrollWidth <= innerWidth"
                assert window.run(fits), f"{name} at {width}"
        assert window.complaints() == []


def test_what_is_written_validates(run: Ended) -> None:
    validator = find_validator()
    if validator is None:
        pytest.skip("no bids-validator-deno")
    done = subprocess.run(
        [validator, str(run.output_dir), "--format", "json"], capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [i for i in issues if i.get("severity") == "error"] == []


def test_a_second_run_makes_nothing_again(run: Ended) -> None:
    before = tree(run.output_dir)
    recipe, work = run.bids_dir.parent / "necks.yaml", run.bids_dir.parent / "work"
    again = run_app(run.bids_dir, run.output_dir, "--recipe", recipe, "-w", work)
    assert again.code == 65
    after = tree(run.output_dir)
    changed = {name for name in before if before[name] != after.get(name)}
    assert {name for name in changed if "/anat" in name} == set()


def test_the_sidecars_of_pictures_tell_every_key_that_shapes_them(run: Ended) -> None:
    """A group run compares them with its recipe (`test_made_with`)."""
    shaping = set(SpinePreparation.model_fields) - {"modality", "boxes_page"}
    for one in finished_images(run.output_dir):
        assert shaping <= one.settings.keys()

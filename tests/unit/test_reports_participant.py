"""The participant report: safe, self-contained, the right way round, for whatever comes in."""

import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.modalities.t1w.page import write_participant_report
from tests.unit.report_pages import (
    PASSED,
    Page,
    ball,
    centred,
    save,
    small_report,
    written,
)

NASTY = "<script>alert('x')</script> \"quoted\" & <img src=http://a.example/x.png> {{ 7 * 7 }}"


def test_text_from_data_shows_as_text(tmp_path: Path) -> None:
    report = small_report(
        tmp_path,
        title=NASTY,
        source=NASTY,
        chosen_because=NASTY,
        template=NASTY,
        notes=[NASTY],
        seconds={NASTY: 1.0},
        settings={NASTY: NASTY, "nested": {"key": [NASTY]}},
        versions={NASTY: NASTY},
        command=NASTY,
        quality=PASSED | {"verdict": "warn", "reasons": (NASTY,), "cut_faces": (NASTY,)},
    )
    page = Page(written(report, tmp_path))
    assert not [tag for tag, _ in page.elements if tag == "script"]
    assert all(at.get("src", "data:").startswith("data:") for _, at in page.elements)
    assert page.text.count("<script>alert('x')</script>") >= 12
    assert "{{ 7 * 7 }}" in page.text


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    text = written(small_report(tmp_path), tmp_path)
    page = Page(text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            value = attributes.get(name, "#")
            if tag == "a":  # a link is followed by a person, within the output folder
                assert value.startswith(("#", "logs/CITATION.")), value
            else:
                assert value.startswith(("#", "data:")), f"{tag} loads {value[:80]}"
    assert re.findall(r"url\(|@import|https?://", text) == []
    policies = [at["content"] for _, at in page.elements if "http-equiv" in at]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]


def test_page_is_well_formed_and_accessible(tmp_path: Path) -> None:
    text = written(small_report(tmp_path), tmp_path)
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("title") == tags.count("main") == 1
    assert ("html", {"lang": "en"}) in page.elements
    ids = [at["id"] for _, at in page.elements if "id" in at]
    assert len(ids) == len(set(ids))
    targets = [at["for"] for tag, at in page.elements if tag == "label"]
    targets += [at["href"][1:] for _, at in page.elements if at.get("href", "").startswith("#")]
    targets += [at["aria-labelledby"] for _, at in page.elements if "aria-labelledby" in at]
    assert set(targets) <= set(ids)
    inputs = {at["id"] for tag, at in page.elements if tag == "input"}
    assert inputs == {at["for"] for tag, at in page.elements if tag == "label"}
    assert all(at["alt"] for tag, at in page.elements if tag == "img")
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@pytest.mark.parametrize("order", ["RAS", "LAS", "PSR", "AIL"])
def test_right_is_on_the_side_marked_r(tmp_path: Path, order: str) -> None:
    """A bright blob at x > 0, y > 0, z > 0, whatever the order on disk."""
    shape, sizes = (40, 44, 36), (4.0, 4.0, 4.0)
    affine = centred(shape, sizes)
    brain = ball(shape, np.array(sizes), 60)
    head = brain.astype(np.float32) * 100
    where = np.round(np.linalg.inv(affine) @ [32, 24, 20, 1]).astype(int)[:3]
    blob = tuple(slice(place - 3, place + 4) for place in where)
    head[blob] = 1000
    report = small_report(tmp_path)
    stored = {}
    for name, data in (("head", head), ("head_mask", brain.astype(np.uint8)), ("t1w", head)):
        image = nib.Nifti1Image(data, affine)
        turn = nib.orientations.ornt_transform(
            nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(order))
        )
        stored[name] = tmp_path / f"turned_{name}.nii"
        image.as_reoriented(turn).to_filename(stored[name])
    page = Page(written(replace(report, **stored), tmp_path))

    for section in ("brain-mask", "registration"):
        found = {"x": 0, "y": 0, "z": 0}
        for tile in page.mosaics[section]:
            picture = tile.picture().astype(float)
            bright = picture > 0.8 * 255
            if bright.sum() < 50:
                continue
            axis, number = re.match(r"([xyz]) = ([−+]?\d+) mm", tile.caption).groups()
            assert 0 < float(number.replace("−", "-")) < 50
            rows, columns = np.nonzero(bright)
            right_half = columns.mean() > (picture.shape[1] - 1) / 2
            upper_half = rows.mean() < (picture.shape[0] - 1) / 2
            end = tile.sides[-1] if right_half else tile.sides[0]
            assert end == ("A" if axis == "x" else "R")
            assert upper_half
            if axis == "x":
                assert tile.sides[1] == "right"
            found[axis] += 1
        assert all(found.values()), f"the blob was not seen in every plane: {found}"


def _odd(folder: Path, kind: str) -> dict[str, Path]:
    shape, sizes = (24, 50, 31), (1.0, 3.3, 5.0)
    mask = np.zeros(shape, np.uint8)
    mask[5:20, 10:40, 5:25] = 1
    head = np.random.default_rng(1).random(shape, dtype=np.float32) * 50 + 300.0 * mask.astype(
        np.float32
    )
    affine = centred(shape, sizes)
    if kind == "at the edge":
        mask[:, :, 10:] = 1
    elif kind == "empty mask":
        mask[:] = 0
    elif kind == "one voxel":
        mask[:] = 0
        mask[12, 0, 30] = 1
    elif kind == "constant":
        head[:] = 7
    elif kind == "negative":
        head -= 1000
    elif kind == "not finite":
        head[::3] = np.nan
        head[1::3] = np.inf
    elif kind == "tilted":
        angle = np.radians(25)
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        affine = turn @ affine
    elif kind == "one slice thick":
        head, mask = head[:, :, 12:13], mask[:, :, 12:13]
    return {
        "head": save(folder / "odd.nii", head, affine),
        "head_mask": save(folder / "odd_mask.nii", mask, affine),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "anisotropic",
        "at the edge",
        "empty mask",
        "one voxel",
        "constant",
        "negative",
        "not finite",
        "tilted",
        "one slice thick",
    ],
)
def test_odd_heads_still_make_a_report(tmp_path: Path, kind: str) -> None:
    report = replace(small_report(tmp_path), **_odd(tmp_path, kind))
    page = Page(written(report, tmp_path))
    assert {name: len(tiles) for name, tiles in page.mosaics.items()} == {
        "registration": 21,
        "brain-mask": 21,
        "volume-change": 14,
    }
    assert ("The image is tilted by 25°" in page.text) == (kind == "tilted")


@pytest.mark.parametrize("brain", [0, 1])
def test_failed_normalisation_still_makes_a_report(tmp_path: Path, brain: int) -> None:
    """Nothing arrived in the template's space: images of zeros and of no number at all."""
    report = small_report(tmp_path)
    image = nib.Nifti1Image.load(report.t1w)
    empty = np.zeros(image.shape, np.float32)
    report = replace(
        report,
        t1w=save(tmp_path / "none.nii", empty, image.affine),
        mask=save(tmp_path / "flat.nii", np.full(image.shape, brain, np.uint8), image.affine),
        log_jacobian=save(tmp_path / "nan.nii", empty * np.nan, image.affine),
        quality={"verdict": "fail", "reasons": ["Nothing there."], "ncc": 0.0},
        seconds={},
        settings={},
        versions={},
    )
    page = Page(written(report, tmp_path))
    assert "Nothing there." in page.text
    assert "not measured" in page.text
    assert "at the median" not in page.text
    assert all(tile.picture().max() < 40 for tile in page.mosaics["volume-change"])


def test_fail_says_so_in_words_and_what_to_do(tmp_path: Path) -> None:
    quality = PASSED | {
        "verdict": "fail",
        "brain_volume_ml": 700.0,
        "reasons": ("The brain mask holds 700 ml (expected 900 to 2100 ml).",),
    }
    page = Page(written(small_report(tmp_path, quality=quality), tmp_path))
    assert "Fail. Do not use the normalised image." in page.text
    assert "The brain mask holds 700 ml" in page.text
    assert "What to do" in page.text
    assert "skull-stripped already" in page.text
    assert "exclusions.tsv" in page.text
    shown = [at["href"] for tag, at in page.elements if tag == "use"]
    assert shown[0] == "#icon-fail"


def test_pass_gives_no_orders(tmp_path: Path) -> None:
    page = Page(written(small_report(tmp_path), tmp_path))
    assert "Pass. The normalised image can be used." in page.text
    assert "What to do" not in page.text
    assert not [at for _, at in page.elements if at.get("href") in ("#icon-fail", "#icon-warn")]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    report = small_report(tmp_path)
    path = tmp_path / "out.html"
    elsewhere = replace(report, head_mask=_odd(tmp_path, "anisotropic")["head_mask"])
    with pytest.raises(ValueError, match=r"odd_mask\.nii does not lie on the grid of .*head\.nii"):
        write_participant_report(elsewhere, path)
    unknown = replace(report, quality=PASSED | {"verdict": "perfect"})
    with pytest.raises(ValueError, match="'perfect', not pass, warn or fail"):
        write_participant_report(unknown, path)
    assert not path.exists()


def test_same_input_gives_the_same_page(tmp_path: Path) -> None:
    report = small_report(tmp_path)
    assert written(report, tmp_path) == written(report, tmp_path)


def test_real_head_stays_small(tmp_path: Path, real_data: Path) -> None:
    """A head of 1 × 1.33 × 1.33 mm, and a head as the normalised image: the worst case in size."""
    source = real_data / "ds000011" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image = nib.as_closest_canonical(nib.Nifti1Image.load(source))
    head = np.asarray(image.dataobj, dtype=np.float32)
    mask = (head > np.percentile(head, 70)).astype(np.uint8)
    pictures = {
        name: save(tmp_path / f"real_{name}.nii", data, image.affine)
        for name, data in (("head", head), ("head_mask", mask))
    }
    text = written(replace(small_report(tmp_path), **pictures), tmp_path)
    assert len(text) < 1_500_000
    tall = Page(text).mosaics["brain-mask"][0].picture()
    width_mm, height_mm = tall.shape[1] * 0.75, tall.shape[0] * 0.75
    assert abs(width_mm - 160 * 1.0) < 3
    assert abs(height_mm - 192 * 4 / 3) < 3

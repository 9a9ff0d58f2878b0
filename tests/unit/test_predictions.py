"""Predictions of new people: the table over all of them, and the place in a report."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bidsapp.errors import BadData
from bidsapp.reports.prediction import add_prediction
from bidsapp.reports.predictions import label_of, usable, write_table

PLACE = "<p>before</p><!-- prediction:begin --><!-- prediction:end --><p>after</p>"
MODEL = {"name": "age-compact", "version": "1.0.0", "sha256": "ab" * 32}


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "outcome": "pain",
        "positive": ["yes"],
        "probability": 0.25,
        "probability_sd": 0.05,
        "per_model": [0.2, 0.3],
        "model": MODEL,
        "quality": {"verdict": "pass"},
    } | changes


def leave(out: Path, who: str, **changes: Any) -> Path:
    """Write a predictions file for ``sub-01`` or ``sub-01_ses-1``."""
    folder = out.joinpath(*[part for part in who.split("_") if part[:3] in ("sub", "ses")], "anat")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{who}_desc-agecompact_predictions.json"
    path.write_text(json.dumps(answer(**changes)))
    return path


def rows(out: Path) -> list[list[str]]:
    return [line.split("\t") for line in write_table(out).read_text().splitlines()[1:]]


def test_the_table_has_everybody_with_and_without_sessions(tmp_path: Path) -> None:
    leave(tmp_path, "sub-02", quality={"verdict": "warn"})
    leave(tmp_path, "sub-01_ses-b_acq-mprage", probability=1e-9)
    leave(tmp_path, "sub-01_ses-a", probability=0.75, probability_sd=None, per_model=[0.75])
    sha = MODEL["sha256"]
    assert rows(tmp_path) == [
        ["sub-01", "ses-a", "age-compact", sha, "0.75", "n/a", "pass"],
        ["sub-01", "ses-b", "age-compact", sha, "1e-09", "0.05", "pass"],
        ["sub-02", "n/a", "age-compact", sha, "0.25", "0.05", "warn"],
    ]


def test_the_table_follows_the_files(tmp_path: Path) -> None:
    path = leave(tmp_path, "sub-01")
    leave(tmp_path, "sub-02")
    assert [row[0] for row in rows(tmp_path)] == ["sub-01", "sub-02"]
    path.unlink()
    assert [row[0] for row in rows(tmp_path)] == ["sub-02"]


@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '{"probability": "high"}'])
def test_a_file_that_is_something_else_is_named(text: str, tmp_path: Path) -> None:
    leave(tmp_path, "sub-01").write_text(text)
    with pytest.raises(BadData, match=r"sub-01_desc-agecompact_predictions\.json is not a pred"):
        write_table(tmp_path)


@pytest.mark.parametrize(
    ("quality", "may"),
    [
        ({"verdict": "pass"}, True),
        ({"verdict": "warn", "rescued": False}, True),
        ({"verdict": "fail"}, False),
        ({"verdict": "warn", "rescued": True}, False),
        ({}, False),
    ],
)
def test_who_may_be_given_to_a_model(quality: dict[str, Any], may: bool) -> None:
    assert usable(quality) is may


def test_the_name_of_a_bundle_becomes_a_label_of_bids() -> None:
    assert label_of(SimpleNamespace(name="age-compact_coronal.2")) == "agecompactcoronal2"  # type: ignore[arg-type]


def test_a_prediction_takes_its_place_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "sub-01.html"
    page.write_text(PLACE)
    assert add_prediction(page, answer(), "AUC 0.71 (95 % CI 0.62 to 0.80)")
    first = page.read_text()
    assert first.startswith("<p>before</p>")
    assert first.endswith("<p>after</p>")
    assert "<b>0.25</b>" in first
    assert "from 0.20 to 0.30" in first
    assert "AUC 0.71 (95 % CI 0.62 to 0.80)" in first
    assert add_prediction(page, answer(probability=0.5, per_model=[0.4, 0.6]), "")
    second = page.read_text()
    assert second.count('id="prediction"') == 1
    assert "<b>0.50</b>" in second
    assert "0.25" not in second
    assert "Held-out" not in second


def test_one_model_has_no_spread(tmp_path: Path) -> None:
    page = tmp_path / "sub-01.html"
    page.write_text(PLACE)
    add_prediction(page, answer(probability_sd=None, per_model=[0.25]), "")
    assert "standard deviation" not in page.read_text()


def test_what_a_recipe_says_is_text_and_never_markup(tmp_path: Path) -> None:
    page = tmp_path / "sub-01.html"
    page.write_text(PLACE)
    name = "<script>alert(1)</script>"
    add_prediction(page, answer(outcome="pain < 3 & 'x'", model=MODEL | {"name": name}), name)
    text = page.read_text()
    assert "<script>" not in text
    assert "pain &lt; 3 &amp;" in text


def test_a_report_without_a_place_is_left_alone(tmp_path: Path) -> None:
    assert not add_prediction(tmp_path / "none.html", answer(), "")
    assert not (tmp_path / "none.html").exists()
    page = tmp_path / "sub-01.html"
    for text in ("<p>another page</p>", "<!-- prediction:begin --> cut short"):
        page.write_text(text)
        assert not add_prediction(page, answer(), "")
        assert page.read_text() == text

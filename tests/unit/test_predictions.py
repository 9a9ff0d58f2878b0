"""Predictions of new people: the table over all of them, and the place in a report."""

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from bidsapp.contracts.product import OutputNames
from bidsapp.derivatives.temporary import temporary_file
from bidsapp.drawing import pages
from bidsapp.errors import BadData, UsageError
from bidsapp.modalities.spine.products import PRODUCTS
from bidsapp.modalities.t1w.measures import MEASURES
from bidsapp.networks.bundle_images import TrainingImage
from bidsapp.recipes import load_recipe
from bidsapp.reports.earlier_predictions import forget_maps, label_of, require_own_name
from bidsapp.reports.prediction import show_predictions
from bidsapp.reports.predictions import Person, _file, _in_training, usable, write_table
from tests.unit.finished_trees import names_of
from tests.unit.report_pages import Page, ball, centred, save

PLACE = (
    "<p>before</p><!-- prediction:begin --><!-- prediction:end -->"
    "<!-- command:begin --><p>old command</p><!-- command:end --><p>after</p>"
)

MODEL = {"name": "age-compact", "version": "1.0.0", "sha256": "ab" * 32}


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "outcome": "pain",
        "positive": ["yes", 1],
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
    leave(tmp_path, "sub-02", quality={"verdict": "warn"}, in_training=False, no_answer="unlike")
    leave(tmp_path, "sub-01_ses-b_acq-mprage", probability=1e-9, in_training=True)
    leave(tmp_path, "sub-01_ses-a", probability=0.75, probability_sd=None, per_model=[0.75])
    sha, what, clinic = MODEL["sha256"], ("pain", "yes or 1"), ("n/a",) * 5
    told = [[one[0], one[1], *one[-4:]] for one in rows(tmp_path)]
    assert told == [
        ["sub-01", "ses-a", "pass", "n/a", "n/a", "n/a"],
        ["sub-01", "ses-b", "pass", "true", "n/a", "n/a"],
        ["sub-02", "n/a", "warn", "false", "n/a", "unlike"],
    ]
    told = [one[2:-4] for one in rows(tmp_path)]
    assert told == [
        ["age-compact", sha, *what, "0.75", "n/a", *clinic],
        ["age-compact", sha, *what, "1e-09", "0.05", *clinic],
        ["age-compact", sha, *what, "0.25", "0.05", *clinic],
    ]


def test_what_a_probability_is_worth_stands_in_table_and_report(tmp_path: Path) -> None:
    worth = {"probability": 0.4, "ci_low": 0.2, "ci_high": 0.625, "level": 0.95, "people": 48}
    page = shown(tmp_path, calibrated=worth)
    told = "<b>40 %</b> have it (95 % interval 20 to 62 %, from 48 people)"
    assert told in " ".join(page.split())
    (row,) = rows(tmp_path)
    assert row[-7:-4] == ["0.4", "0.2", "0.625"]
    assert "95 % interval" not in shown(tmp_path, calibrated=None)


def test_a_model_whose_run_leaked_says_so_wherever_it_answers(tmp_path: Path) -> None:
    leak = "LEAK: representation.zscore: dataset"
    assert leak in shown(tmp_path, model=MODEL | {"leaks": [leak]})
    assert rows(tmp_path)[0][-2] == leak
    assert "LEAK" not in shown(tmp_path)


def test_an_expression_over_several_lines_stays_in_its_cell(tmp_path: Path) -> None:
    outcome = "head_pain >= 30\n\tor neck_pain >= 30"
    leave(tmp_path, "sub-01", outcome=outcome, positive=[True])
    assert rows(tmp_path)[0][4:6] == ["head_pain >= 30 or neck_pain >= 30", "True"]


def test_the_table_follows_the_files(tmp_path: Path) -> None:
    path = leave(tmp_path, "sub-01")
    leave(tmp_path, "sub-02")
    assert [row[0] for row in rows(tmp_path)] == ["sub-01", "sub-02"]
    path.unlink()
    assert [row[0] for row in rows(tmp_path)] == ["sub-02"]


def test_what_another_job_is_writing_or_left_when_it_was_killed_is_passed_over(
    tmp_path: Path,
) -> None:
    bundle: Any = SimpleNamespace(name="agecompact", identity=MODEL, folder=tmp_path)
    with temporary_file(leave(tmp_path, "sub-01")):
        assert [row[0] for row in rows(tmp_path)] == ["sub-01"]
        require_own_name(bundle, tmp_path)


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
    assert usable(quality, MEASURES) is may


def test_nobody_is_called_new_to_a_model_whose_images_cannot_be_recognised() -> None:
    hashed, foreign = TrainingImage("a", "b", (0,)), TrainingImage("c", "", (0,))

    def told(*images: TrainingImage, known: bool = False) -> dict[str, Any]:
        return _in_training(SimpleNamespace(images=images), known)  # type: ignore[arg-type]

    assert told(hashed) == {"in_training": False}
    assert told(hashed, foreign, known=True) == {"in_training": True}
    unknown = told(hashed, foreign)
    assert unknown["in_training"] is None
    assert "1 of the 2 scans" in unknown["in_training_unknown"]


def test_the_name_of_a_bundle_becomes_a_label_of_bids() -> None:
    assert label_of(SimpleNamespace(name="age-compact_coronal.2")) == "agecompactcoronal2"  # type: ignore[arg-type]


def shown(out: Path, **changes: Any) -> str:
    """Give a report with places, one prediction, and read what it then says."""
    names = names_of(out)
    leave(out, "sub-01", **changes)
    names.report.write_text(PLACE)
    assert show_predictions(names)
    return names.report.read_text()


def test_a_prediction_takes_its_place_and_nothing_else(tmp_path: Path) -> None:
    held_out = {"held_out": "AUC 0.71 (95 % CI 0.62 to 0.80)"}
    first = shown(tmp_path, model=MODEL | held_out)
    assert first.startswith("<p>before</p>")
    assert first.endswith("<p>after</p>")
    assert "<b>0.25</b>" in first
    assert "from 0.20 to 0.30" in first
    assert "AUC 0.71 (95 % CI 0.62 to 0.80)" in first
    names = names_of(tmp_path)
    leave(tmp_path, "sub-01", probability=0.5, per_model=[0.4, 0.6])
    assert show_predictions(names, "nocicast in out participant --model 'my model'")
    second = names.report.read_text()
    assert second.count('id="prediction"') == 1
    assert "<b>0.50</b>" in second
    assert "<b>0.25</b>" not in second
    assert "Held-out" not in second
    assert "--model &#39;my model&#39;" in second
    assert "old command" not in second


def test_a_prediction_that_is_gone_leaves_the_report(tmp_path: Path) -> None:
    names = names_of(tmp_path)
    assert 'id="prediction"' in shown(tmp_path)
    next(names.folder.glob("*_predictions.json")).unlink()
    assert show_predictions(names, "another command")
    assert 'id="prediction"' not in names.report.read_text()
    assert "old command" in names.report.read_text()


def test_the_menu_of_a_report_leads_to_a_prediction_where_there_is_one(tmp_path: Path) -> None:
    names = names_of(tmp_path)
    leave(tmp_path, "sub-01")
    template = Path(pages.__file__).parent / "templates" / "participant.html.j2"
    menu = template.read_text().split("{% block nav %}")[1].split("{% endblock %}")[0]
    names.report.write_text(f"<nav>{menu}</nav>{PLACE}")
    assert show_predictions(names)
    assert show_predictions(names)
    links = [at.get("href") for tag, at in Page(names.report.read_text()).elements if tag == "a"]
    assert links[:3] == ["#verdict", "#prediction", "#registration"]
    next(names.folder.glob("*_predictions.json")).unlink()
    assert show_predictions(names)
    assert "#prediction" not in names.report.read_text()


def test_predictions_of_several_models_stand_beside_each_other(tmp_path: Path) -> None:
    path = leave(tmp_path, "sub-01", outcome="fatigue")
    path.rename(path.with_name("sub-01_desc-other_predictions.json"))
    text = shown(tmp_path)
    assert "fatigue" in text
    assert "<b>pain" in text
    page = Page(text)
    ids = [at["id"] for _, at in page.elements if "id" in at]
    assert len(ids) == len(set(ids))


def test_who_was_trained_on_is_told_so_on_the_page(tmp_path: Path) -> None:
    assert "trained on" not in shown(tmp_path, in_training=False)
    told = shown(tmp_path, in_training=True)
    assert "in the cohort that the model was trained on" in told
    assert "that of the 2 models of the bundle trained without this person" in told


def test_two_injections_on_one_image_keep_a_prediction_each(tmp_path: Path) -> None:
    bundle: Any = SimpleNamespace(name="age-compact", identity=MODEL, sha256="ab" * 32)
    bundle.folder = tmp_path / "model"
    bundle.recipe = load_recipe("wang2023")
    people = []
    for part, probability in (("C6L", 0.8), ("C5R", 0.3)):
        labels = {"space": "foramen", "part": part}
        names = OutputNames(tmp_path, {"subject": "01", "acquisition": "axial"}, labels, PRODUCTS)
        person = Person("01", None, names, {"verdict": "pass"})
        names.folder.mkdir(parents=True, exist_ok=True)
        file = _file(bundle, person)
        assert not file.exists()  # of the other one
        file.write_text(json.dumps(answer(part=part, probability=probability)))
        names.report.write_text(PLACE)
        people.append(person)
    assert [one.label for one in people] == ["sub-01 C6L", "sub-01 C5R"]
    assert [one.unit for one in people] == [("sub-01", "", "C6L"), ("sub-01", "", "C5R")]
    lines = write_table(tmp_path).read_text().splitlines()
    assert lines[0].split("\t")[:3] == ["participant_id", "session_id", "part_id"]
    told = {(row[2], row[7]) for row in (line.split("\t") for line in lines[1:])}
    assert told == {("C6L", "0.8"), ("C5R", "0.3")}
    for person, own, other in zip(people, ("0.80", "0.30"), ("0.30", "0.80"), strict=True):
        assert show_predictions(person.names)
        page = person.names.report.read_text()
        assert f"Probability {own} on a scale" in page
        assert f"Probability {other} on a scale" not in page
    # maps of one injection go, and the other's stay
    for person in people:
        stem = person.names.folder / person.names.native("agecompactGradient", "statmap", "")
        Path(f"{stem}.json").write_text(json.dumps({"Model": MODEL}))
    forget_maps(people[0].names, bundle)
    left = [path.name for path in people[0].names.folder.glob("*_statmap.json")]
    assert left == ["sub-01_acq-axial_desc-C5RagecompactGradient_statmap.json"]
    # a model whose name ends alike is another one, a changed one of this name is refused
    require_own_name(SimpleNamespace(name="compact", identity=MODEL, folder=tmp_path), tmp_path)
    bundle.identity = MODEL | {"sha256": "cd" * 32}
    with pytest.raises(UsageError, match="was made by another model of this name"):
        require_own_name(bundle, tmp_path)


def test_one_model_has_no_spread(tmp_path: Path) -> None:
    text = shown(tmp_path, probability_sd=None, per_model=[0.25])
    assert "standard deviation" not in text


def test_what_a_recipe_says_is_text_and_never_markup(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    text = shown(tmp_path, outcome="pain < 3 & 'x'", model=MODEL | {"name": name, "held_out": name})
    assert "<script>" not in text
    assert "pain &lt; 3 &amp;" in text


def test_a_report_without_a_place_is_left_alone(tmp_path: Path) -> None:
    names = names_of(tmp_path)
    leave(tmp_path, "sub-01")
    assert not show_predictions(names)
    assert not names.report.exists()
    for text in ("<p>another page</p>", "<!-- prediction:begin --> cut short"):
        names.report.write_text(text)
        assert not show_predictions(names)
        assert names.report.read_text() == text


@pytest.mark.parametrize("order", ["RAS", "LPI"])
def test_saliency_lies_over_the_brain_where_it_belongs(tmp_path: Path, order: str) -> None:
    """A warm blob at x > 0, y > 0 and a cold one at x < 0, y < 0, whatever the order on disk."""
    names = names_of(tmp_path)
    names.folder.mkdir(parents=True)
    shape = (40, 44, 36)
    affine = centred(shape, (4.0, 4.0, 4.0))
    brain = ball(shape, np.full(3, 4.0), 60).astype(np.float32)
    save(names.folder / names["preproc"], brain * 0.4, affine)
    values = np.zeros((*shape, 2), np.float32)  # two channels, which add up
    values[27:32, 29:34, 15:21, 0] = 2.0
    values[27:32, 29:34, 15:21, 1] = 1.0
    values[8:13, 10:15, 15:21, 1] = -3.0
    image = nib.Nifti1Image(values, affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(order))
    )
    stem = "sub-01_space-MNI152NLin2009aSym_res-2"
    path = names.folder / f"{stem}_desc-agecompactGradientSuspect_statmap.nii.gz"
    image.as_reoriented(turn).to_filename(path)
    sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
    settings = {"method": "gradient", "absolute": False}
    about = {"Units": "1/<b>", "Method": "gradient", "Settings": settings}
    sidecar.write_text(json.dumps(about))
    save(names.folder / names["log_jacobian"], brain, affine)  # is no saliency map

    page = Page(shown(tmp_path))
    assert "1/<b>" in page.text
    assert "a darker or smaller place speaks for the outcome" in page.text
    assert "failed its sanity checks" in page.text
    assert [*page.mosaics] == ["prediction"]
    sides = {"warm": [], "cold": []}
    for tile in page.mosaics["prediction"]:
        if not tile.caption.startswith("z"):
            continue
        encoded = tile.sources[0].split(",", 1)[1]
        picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
        red, _, blue = (channel.astype(int) for channel in np.moveaxis(np.asarray(picture), 2, 0))
        for name, difference in (("warm", red - blue), ("cold", blue - red)):
            rows, columns = np.nonzero(difference > 90)
            if len(rows) > 50:
                height, width = red.shape
                sides[name].append((columns.mean() > width / 2, rows.mean() < height / 2))
    assert sides["warm"]
    assert all(side == (True, True) for side in sides["warm"])  # right of the picture, front up
    assert sides["cold"]
    assert all(side == (False, False) for side in sides["cold"])


def test_a_map_by_another_model_of_the_same_name_is_not_shown(tmp_path: Path) -> None:
    names = names_of(tmp_path)
    names.folder.mkdir(parents=True)
    shape = (20, 22, 18)
    affine = centred(shape, (8.0, 8.0, 8.0))
    brain = ball(shape, np.full(3, 8.0), 60).astype(np.float32)
    save(names.folder / names["preproc"], brain, affine)
    path = names.folder / names.in_space("agecompactGradientSuspect", "statmap")
    save(path, brain, affine)

    def seen(of_map: dict[str, str], of_answer: dict[str, str]) -> bool:
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        sidecar.write_text(json.dumps({"Model": of_map}))
        text = shown(tmp_path, model=of_answer)
        assert ("failed its sanity checks" in text) is bool(Page(text).mosaics)
        return bool(Page(text).mosaics)

    weights, others = {"weights_sha256": "12" * 32}, {"weights_sha256": "34" * 32}
    assert seen(MODEL, MODEL)
    assert not seen(MODEL | {"sha256": "cd" * 32}, MODEL)
    # the verdict that a bundle got since changes its hash, and not its weights
    assert seen(MODEL | weights | {"sha256": "cd" * 32}, MODEL | weights)
    assert not seen(MODEL | others, MODEL | weights)
    # one of them of a version that recorded no weights
    assert seen(MODEL, MODEL | weights)
    assert not seen(MODEL | {"sha256": "cd" * 32}, MODEL | weights)


@pytest.mark.parametrize(("shape", "aside"), [((8, 9, 9), 0.0), ((9, 9, 9), 3.0)])
def test_a_map_on_another_grid_is_named(
    tmp_path: Path, shape: tuple[int, int, int], aside: float
) -> None:
    names = names_of(tmp_path)
    names.folder.mkdir(parents=True)
    save(names.folder / names["preproc"], np.ones((9, 9, 9), np.float32), np.eye(4))
    stem = "sub-01_space-MNI152NLin2009aSym_res-2"
    path = names.folder / f"{stem}_desc-agecompactGradient_statmap.nii.gz"
    affine = np.eye(4)
    affine[0, 3] = aside
    save(path, np.ones(shape, np.float32), affine)
    with pytest.raises(BadData, match=r"desc-agecompactGradient_statmap\.nii\.gz does not lie on"):
        shown(tmp_path)


def test_saliency_of_a_series_lies_over_its_mean(tmp_path: Path) -> None:
    """The main file of a series has many volumes, and the map lies on the grid of one."""
    from bidsapp.modalities.bold.products import PRODUCTS as SERIES

    labels = {"space": "MNI152NLin2009aSym", "res": "4"}
    names = OutputNames(tmp_path, {"subject": "01", "task": "rest"}, labels, SERIES, "func")
    names.folder.mkdir(parents=True)
    shape = (20, 22, 18)
    affine = centred(shape, (8.0, 8.0, 8.0))
    brain = ball(shape, np.full(3, 8.0), 60).astype(np.float32)
    save(names.path("boldref"), brain, affine)
    save(names.path("denoised"), np.stack([brain, -brain], axis=-1), affine)
    values = np.where(brain > 0, np.float32(0.5), np.float32(0))
    path = names.folder / names.in_space("agecompactGradient", "statmap")
    save(path, values, affine)
    words = {"HigherValue": "a stronger component", "LowerValue": "a weaker component there"}
    about = {"Units": "logit", "Method": "gradient", "Settings": {}, **words}
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(about))
    file = names.folder / names.native("agecompact", "predictions", ".json")
    file.write_text(json.dumps(answer()))
    names.report.write_text(PLACE)
    assert show_predictions(names)
    page = Page(names.report.read_text())
    assert [*page.mosaics] == ["prediction"]
    assert "(a stronger component) raises the forecast" in page.text
    assert "a weaker component there speaks for the outcome" in page.text

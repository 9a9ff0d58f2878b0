"""Methods texts: every number is one of the run's, citations are whole, hostile names are text."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from bidsapp.contracts.modality import modality_named
from bidsapp.drawing.boilerplate import Draft, Section, finished
from bidsapp.drawing.references import references, study_reference
from bidsapp.drawing.wording import p_value
from bidsapp.errors import NoInput
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.permutation import METHOD as WHOLE_PIPELINE
from bidsapp.modalities.t1w.speeds import CHAIN
from bidsapp.modalities.t1w.steps import FORMS_DISAGREE
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.methods_group import outcome_words
from bidsapp.reports.methods_text import (
    group_boilerplate,
    participant_boilerplate,
    write_group_words,
    write_participant_words,
)
from bidsapp.training.splits import make_splits
from tests.unit.evaluation_runs import become_positive_later, write_run
from tests.unit.finished_trees import SETTINGS, leave_sidecar
from tests.unit.report_pages import Page
from tests.unit.words_oracle import (
    numbers,
    numbers_of_images,
    numbers_of_run,
    prose,
    read,
    shown,
)

OVERRIDES = (
    'outcome.column="pain"',
    'outcome.positive=["yes"]',
    "run=[axial, coronal, sagittal, mean_probability]",
    "training.epochs=7",
    "training.augmentation.flip=0.25",
    "evaluation.bootstrap=123",
    "evaluation.permutations=77",
    "protocol.folds=6",
)


def make_run(out: Path, *overrides: str, **changes: object) -> Path:
    """Write the state of a run of 48 people and 6 folds, evaluated, with two people left out."""
    folder = out / "group" / "attias2025"
    age = [round(float(value), 1) for value in np.random.default_rng(3).normal(40, 9, 48)]
    write_run(folder, folds=6, covariates={"age": list(age)}, **changes)  # type: ignore[arg-type]
    recipe = load_recipe("attias2025", (*OVERRIDES, *overrides))
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    lines = ["participant_id\tsession_id\treason\tdetail"]
    lines += ["sub-a\tn/a\tno outcome\tx", "sub-b\tn/a\tno outcome\tx"]
    lines += ["sub-c\tn/a\tquality failed\tx"]
    (folder / "exclusions.tsv").write_text("\n".join(lines) + "\n")
    evaluate(folder)
    metadata = folder / "model" / "axial" / "configs" / "metadata.json"
    metadata.parent.mkdir(parents=True)
    environment = {
        "device": "cpu",
        "precision": "bfloat16",
        "threads": 1,
        "versions": {"torch": "2.13.0+cpu", "monai": "1.6.1"},
    }
    metadata.write_text(json.dumps({"trained_with": [environment]}))
    return folder


def test_every_number_of_a_group_text_is_in_the_state_files(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    text = prose(group_boilerplate(folder).markdown)

    assert numbers(text) - numbers_of_run(folder) == set()
    named = ("axial", "coronal", "sagittal", "mean_probability")
    pooled = [row for row in read(folder / "metrics.tsv") if row["scope"] == "pooled"]
    for row in pooled:
        if row["metric"] == "auc" and row["variant"] in named:
            assert (
                f"{row['variant']} (n = 48 people): pooled held-out AUC "
                f"{shown(row['value'])} (95% CI "
                f"{shown(row['ci_low'])} to {shown(row['ci_high'])}, {row['ci_method']})"
            ) in text
    assert "48 participants, one scan each, were analysed: 24 positive (50%) and 24 negat" in text
    assert "Excluded were 3 participants or scans: no outcome (2) and quality failed (1)." in text
    assert (
        "6-fold cross-validation with splits that were given in a file: in each fold, 40 "
        "participants were trained on and 8 held out"
    ) in text
    assert "strict" in text
    assert "LEAK" not in text


def test_splits_that_the_recipe_draws_are_told_with_their_seed(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "protocol.stratified=true", "protocol.seed=5")
    cohort = pd.read_csv(folder / "cohort.tsv", sep="\t")
    drawn = make_splits(cohort, load_recipe(folder / "recipe.yaml").protocol)
    drawn.to_csv(folder / "splits.tsv", sep="\t", index=False)
    text = group_boilerplate(folder).markdown
    assert "6-fold cross-validation, stratified by outcome (seed 5): in each fold, 40 part" in text


def test_positives_are_scans_where_the_outcome_is_one_of_the_scan(tmp_path: Path) -> None:
    by_person = make_run(tmp_path / "person", sessions=2)
    text = group_boilerplate(by_person).markdown
    assert "48 participants (96 scans) were analysed: 24 positive (50%) and 24 negative." in text
    assert text.count("(n = 96 scans of 48 people)") == 5
    by_scan = make_run(tmp_path / "scan", sessions=2)
    become_positive_later(by_scan)
    evaluate(by_scan)
    text = group_boilerplate(by_scan).markdown
    assert "96 scans of 48 participants were analysed: 24 positive (25%) and 72 negative" in text


def test_every_number_of_a_participant_text_is_in_the_sidecars(tmp_path: Path) -> None:
    volumes = [1301.2, 1466.6, 1703.6]
    for place, volume in enumerate(volumes):
        correlation = 0.811 + 0.013 * place
        leave_sidecar(
            tmp_path,
            f"sub-0{place}",
            quality={"brain_volume_ml": volume, "local_ncc": correlation, "ncc": 0.777},
        )
    leave_sidecar(tmp_path, "sub-03", quality={"verdict": "fail", "brain_volume_ml": 2222.0})
    text = prose(participant_boilerplate(tmp_path).markdown)
    assert numbers(text) - numbers_of_images(tmp_path) == set()
    assert "4 T1-weighted (T1w) images of 4 participants" in text
    assert "Of 4 images, 3 passed and 1 failed." in text
    assert "brain volume 1585 ml (range 1301 to 2222 ml)" in text  # median of 1466.6 and 1703.6


def test_settings_that_differ_are_told_apart(tmp_path: Path) -> None:
    first = leave_sidecar(tmp_path, "sub-01_ses-a")
    settings = json.loads(first.read_text())["Settings"]
    leave_sidecar(tmp_path, "sub-01_ses-b", Settings=settings | {"speed": "precise"})
    leave_sidecar(tmp_path, "sub-02_ses-a", Notes=["The image is skull-stripped already; x"])
    text = participant_boilerplate(tmp_path).markdown
    assert "3 T1-weighted (T1w) images of 2 participants in 3 sessions" in text
    assert "60x50x10 (2 images) and 100x80x50x14 (1 image)" in text
    assert "1 image was skull-stripped beforehand" in text
    assert "qform" not in text
    leave_sidecar(tmp_path, "sub-03_ses-a", Notes=[f"{FORMS_DISAGREE} by 70°. The qform was used"])
    text = participant_boilerplate(tmp_path).markdown
    assert "The sform and the qform in the header of 1 image disagreed" in text


def test_paper_mode_says_leak_with_the_step(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "mode=paper", "representation.zscore=dataset")
    text = group_boilerplate(folder).markdown
    assert "LEAK: the run was made in paper mode" in text
    assert "representation.zscore: dataset" in text
    assert "axial (n = 48 people): pooled held-out AUC" in text
    results = text.count("pooled held-out AUC")
    assert text.count("LEAK: representation.zscore: dataset.") == results > 3
    assert "refuses to run" not in text


def test_files_are_written_and_cite_what_the_text_cites(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    leave_sidecar(tmp_path, "sub-01")
    for page in (write_group_words(folder), write_participant_words(tmp_path)):
        markdown = page.with_suffix(".md").read_text()
        keys = set(re.findall(r"^@\w+\{(\w+),", page.with_suffix(".bib").read_text(), re.M))
        html = Page(page.read_text())
        anchors = {at["id"] for tag, at in html.elements if tag == "li" and "id" in at}
        linked = {
            at["href"][1:]
            for tag, at in html.elements
            if tag == "a" and at["href"].startswith("#ref-")
        }
        assert anchors == linked == {f"ref-{key}" for key in keys}
        assert "[@" not in markdown
        assert "tustison2010" in keys or page.parent.parent == folder
    assert (folder / "logs" / "CITATION.bib").is_file()
    assert (tmp_path / "logs" / "CITATION.html").is_file()


def test_hostile_names_are_text_in_every_format(tmp_path: Path) -> None:
    name = "<script>alert(1)</script> [@tustison2010; @x] {{ 7 * 7 }} `a` *b* _c_"
    folder = make_run(tmp_path, f"outcome.column={json.dumps(name)}")
    found = group_boilerplate(folder)
    page = Page(found.html)
    assert not [tag for tag, _ in page.elements if tag == "script"]
    assert name in page.text
    assert "\\<script>" in found.markdown
    assert "\\`a\\` \\*b\\* \\_c\\_" in found.markdown
    rendered = Page(MarkdownIt("commonmark").render(found.markdown))
    assert name in rendered.text
    assert {"script", "em", "code", "a"}.isdisjoint(tag for tag, _ in rendered.elements)


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (1 / 10_001, "p < 0.001"),
        (0.0006, "p < 0.001"),
        (1 / 1001, "p = 0.001"),  # the least of 1,000 permutations
        (0.001, "p = 0.001"),
        (0.0123, "p = 0.012"),
        (0.25, "p = 0.25"),
    ],
)
def test_a_p_value_of_a_thousandth_is_not_called_less(p: float, words: str) -> None:
    assert p_value(p) == words


def test_a_permuted_pipeline_is_told_and_gives_the_p_value(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    path = folder / "tables" / "permutations.tsv"
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    again = table.head(1).assign(variant="axial", p=0.04, permutations=24, method=WHOLE_PIPELINE)
    pd.concat([table, again]).to_csv(path, sep="\t", index=False)
    text = group_boilerplate(folder).markdown
    assert "by 77 permutations of the outcomes" in text
    assert "repeated with 24 permutations of the outcomes, each with networks trained anew" in text
    assert re.search(r"axial \(n = 48 people\): pooled held-out .*?permutation p = 0\.040", text)


def test_saliency_is_told_with_its_test_and_its_verdict(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    summary = {
        "method": "gradient_x_input",
        "of": "true_positives",
        "n": {"true_positives": 17, "all": 48},
        "held_out": True,
        "smoothing_fwhm_mm": 7.0,
        "sanity": {"verdict": "fail", "sentences": []},
        "test": {
            "positives": 21,
            "negatives": 23,
            "permutations": 4999,
            "covariates": ["age"],
            "within_folds": True,
            "voxels_below_05_fwe": 31,
            "voxels_below_05_tfce": 1,
        },
    }
    path = folder / "saliency" / "axial" / "summary.json"
    path.parent.mkdir(parents=True)

    def said() -> str:
        path.write_text(json.dumps(summary))
        text = prose(group_boilerplate(folder).markdown)
        return text.partition("### Saliency")[2].partition("###")[0]

    # of an earlier version, whose p did not hold: no number of it is repeated
    assert numbers(said()) == {"17", "7", "21", "23"}
    assert "signed saliency maps of held-out scans" in said()
    assert "averaged over the 17 participants who are positive and predicted so" in said()
    assert "compared at every voxel within folds with age as nuisance; the comparison is" in said()
    assert "must not be interpreted" in said()
    summary["test"] |= {"p_from": "whole pipeline"}
    assert "4999 permutations of the outcomes with networks trained anew" in said()
    assert "its result is not given, as the maps have not passed" in said()
    results = {"forecast": "pass", "weights": "pass", "halves": "not run", "voxels": "unclear"}
    summary["sanity"] = {"verdict": "not decisive", "checks": results}
    assert "Of 4 sanity checks" in said()
    assert "3 were made and 2 passed: they are not decisive" in said()
    assert "its result is not given" in said()
    summary["sanity"] = {"verdict": "pass", "checks": dict.fromkeys(results, "pass")}
    assert "Of 4 sanity checks" in said()
    assert "4 were made and 4 passed." in said()
    assert numbers(said()) == {"17", "7", "21", "23", "4999", "31", "0.05", "1", "4"}
    path.write_text(json.dumps({"method": "occlusion", "sanity": {"verdict": "not run"}}))
    assert "No sanity checks" in group_boilerplate(folder).markdown
    path.write_text(json.dumps({"method": "occlusion", "sanity": {"verdict": "pass"}}))
    assert "of an earlier version" in prose(group_boilerplate(folder).markdown)
    path.write_text(json.dumps({"method": "gradient", "absolute": True, "scale": "minmax"}))
    text = prose(group_boilerplate(folder).markdown)
    assert "absolute saliency maps of held-out scans were made by gradients" in text
    assert ", each scaled to 0 to 1 and averaged" in text


def test_images_of_earlier_steps_are_said_to_be(tmp_path: Path) -> None:
    told = "normalised by another version of these steps"
    leave_sidecar(tmp_path, "sub-01")
    assert told not in participant_boilerplate(tmp_path).markdown
    earlier = {key: value for key, value in SETTINGS.items() if key != "chain"}
    leave_sidecar(tmp_path, "sub-02", Settings=earlier)
    assert f"1 image was {told}" in participant_boilerplate(tmp_path).markdown


def test_the_versions_of_the_steps_are_settings_of_an_image(tmp_path: Path) -> None:
    for recipe in ("attias2025", "wei2023", "rest"):
        settings = load_recipe(recipe).preparation
        modality = modality_named(settings.modality)
        shared = modality.shared(settings, tmp_path)
        assert shared.settings["chain"] == modality.chain
    # a series goes through the transform of the T1w image, and is made anew with it
    assert shared.settings["t1w_chain"] == CHAIN


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="no prepared image"):
        participant_boilerplate(tmp_path)
    with pytest.raises(NoInput, match=r"no recipe\.yaml"):
        group_boilerplate(tmp_path)


def test_images_of_other_software_are_said_to_be(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    path = folder / "cohort.tsv"
    path.write_text(re.sub(r"sub-\d+\.nii\.gz", r"bids:fmriprep:\g<0>", path.read_text()))
    text = group_boilerplate(folder).markdown
    assert "48 images of fmriprep (Esteban et al., 2019)" in text
    assert "deepbet" not in text


def test_a_recipe_cites_the_whole_entry_of_its_study_and_no_other() -> None:
    address = load_recipe("wang2023").reference
    assert address
    assert study_reference("my_study", address) == references()["wang2023"]
    other = study_reference("wang2023", "doi:10.1000/other")
    assert (other.key, other.short) == ("studywang2023", "Wang et al., 2023")
    assert study_reference("attias2025", "doi:10.1000/none").short == "Attias et al., 2025"


def test_references_are_whole() -> None:
    known = references()
    assert len(known) > 35
    for one in known.values():
        assert {"author", "title"} <= set(one.fields), one.key
        assert not set("{}\\") & set(one.full + one.short), one.key
        assert "doi.org" not in one.fields.get("doi", "")
        assert "year" in one.fields or one.key == "nocicast"
    dois = [one.fields["doi"] for one in known.values() if "doi" in one.fields]
    assert len(dois) == len(set(dois))


def test_names_of_authors_keep_their_accents() -> None:
    known = references()
    assert known["radenovic2019"].short == "Radenović et al., 2019"
    assert known["radenovic2019"].full.startswith("Radenović F, Tolias G, Chum O (2019). ")
    assert "Fine-tuning CNN image retrieval" in known["radenovic2019"].full
    people = {last for one in known.values() for last, _ in one.authors}
    assert {"Ibáñez", "Capotă", "Dollár", "Viégas"} <= people


def test_every_citation_in_the_code_has_a_reference() -> None:
    cited: set[str] = set()
    for path in (Path(__file__).parents[2] / "bidsapp").rglob("*.py"):
        for group in re.findall(r"\[@([a-z0-9; @]+)\]", path.read_text(encoding="utf-8")):
            cited |= {key.removeprefix("@") for key in group.split("; ")}
    cited -= {"key", "one", "two"}  # of docstrings
    assert cited <= set(references())
    assert len(cited) > 30


def test_what_looks_like_a_citation_and_is_none_stays(tmp_path: Path) -> None:
    draft = Draft("Note.", [Section("Heading", ["Known [@fisch2024], unknown [@nobody1900]."])])
    found = finished(draft)
    assert "Known (Fisch et al., 2024), unknown \\[@nobody1900\\]." in found.markdown
    assert "@nobody1900" not in found.bibtex


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["outcome={column: pain, positive: [1], missing: [-9]}"], "with -9 taken as missing"),
        (
            ["outcome={column: pain, positive: [1]}", "tables.missing=[pain=-9]"],
            "with -9 taken as missing",
        ),
        (
            [
                "outcome={expression: '`follow_up.pain@2` >= 30'}",
                "tables.missing=[follow_up.pain=-9, follow_up.pain=x, age=999]",
            ],
            "with -9 or x taken as missing",
        ),
    ],
)
def test_values_that_stand_for_a_missing_outcome_are_told_whichever_key_names_them(
    overrides: list[str], words: str
) -> None:
    assert outcome_words(load_recipe("t1w", overrides)).endswith(words)

"""The first sentence of a report, its findings and its methods text make one claim, and no more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.evaluation.chance import CHANCE_WORDS, leading_forecast
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.pooled import pooled_results
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.methods_evaluation import evaluation_paragraph
from bidsapp.reports.methods_results import results_section
from bidsapp.reports.run import result_tables
from bidsapp.reports.run.answer import answer, cards
from bidsapp.reports.run.figures import performance
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.group_run import GroupRun
from tests.benchmarks import worlds
from tests.benchmarks.worlds import Design, learn

SETTINGS = (
    "outcome.column=chronic_pain",
    "outcome.positive=[1]",
    "evaluation.bootstrap=100",
    "evaluation.permutations=99",
    "evaluation.baselines=[majority, site, logistic]",
    "evaluation.predictors=[thickness]",
    "evaluation.site=site",
)


def write(folder: Path, design: Design, probability: np.ndarray, site: np.ndarray) -> Path:
    """State files of a run of the recipe t1w whose only variant is its base."""
    n = len(design.outcome)
    people = worlds.name_of(np.arange(n))
    noise = np.random.default_rng(0).normal(size=n).round(3)
    cohort = pd.DataFrame(
        {"participant_id": people, "session_id": "n/a", "outcome": design.outcome}
    )
    cohort = cohort.assign(
        session_id="n/a", image="x", sha256="0", quality="pass", site=site, thickness=noise
    )
    scores = design.rows.assign(probability=probability)
    folder.mkdir(parents=True)
    for name, table in (("cohort", cohort), ("splits", design.splits), ("scores", scores)):
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    return folder


def evaluated(folder: Path, *values: str) -> Path:
    recipe = load_recipe("t1w", [*SETTINGS, *values])
    scores = pd.read_csv(folder / "scores.tsv", sep="\t", keep_default_na=False)
    scores.assign(variant=recipe.base).to_csv(folder / "scores.tsv", sep="\t", index=False)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    evaluate(folder)
    return folder


def study(
    folder: Path, design: Design, distance: float, seed: int, *values: str, shift: float = 0.0
) -> Path:
    rng = np.random.default_rng(seed)
    site = np.array(["A", "B", "C", "D"])[np.arange(len(design.outcome)) * 4 // len(design.outcome)]
    image = worlds.images(design.outcome, 6, distance, 1, rng)
    image += shift * rng.normal(size=(1, 4, 6))[:, np.unique(site, return_inverse=True)[1]]
    learned = learn(design, image, distance)
    return evaluated(write(folder, design, learned.probability[0], site), *values)


def notes(run: RunFiles) -> dict[str, str]:
    return {figure.key: note for figure, note in performance(run)}


def half(n: int) -> np.ndarray:
    return np.arange(n) % 2


@pytest.mark.parametrize("distance", [0.0, 0.55, 3.0])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_one_rule_speaks_in_answer_findings_card_and_methods(tmp_path, distance, level):
    design = worlds.cross_validation(half(60), 6, np.random.default_rng(1))
    folder = study(tmp_path / "run", design, distance, 2, f"evaluation.confidence={level}")
    run = RunFiles(folder)
    words = CHANCE_WORDS[leading_forecast(run.metrics, run.lead).verdict]
    assert f": {words}" in answer(run).sentence
    findings = run.table("tables/findings.tsv", ("kind", "text"))
    (result,) = findings.loc[findings["kind"] == "result", "text"]
    assert words in result
    methods = " ".join(results_section(GroupRun(folder)).paragraphs)
    assert words in methods
    assert pooled_results(folder, run.lead, level)["against chance"] == words
    for text in (answer(run).sentence, methods, *pooled_results(folder, run.lead, level).values()):
        assert ("95" in text.replace("0.95", "")) <= (level == 0.95)
    curves = notes(run)
    assert f"Wilson's {100 * level:g}\u00a0% intervals" in curves["calibration"]


@pytest.mark.parametrize(
    ("people", "word", "says"),
    [
        (16, "Too few people to tell.", "more than one in five miss an effect, however strong."),
        (128, "Not shown to beat chance.", "miss an effect whose true AUC is below 0."),
    ],
)
def test_nothing_found_is_not_told_as_nothing_there(tmp_path, people, word, says):
    design = worlds.hold_outs(half(people), 0.2, 12, np.random.default_rng(1))
    found = answer(RunFiles(study(tmp_path / "run", design, 0.0, 3)))
    assert found.word == word
    assert "That does not show that there is nothing:" in found.could_show
    assert says in found.could_show


def test_repeated_hold_outs_lead_with_what_retraining_leaves_and_repeats_do_not_narrow_it(tmp_path):
    design = worlds.hold_outs(half(60), 0.2, 12, np.random.default_rng(1))
    run = RunFiles(study(tmp_path / "run", design, 1.0, 3))
    said = answer(run).sentence
    assert "allowing for training on other people" in said
    assert "12 repeats add no people and do not narrow it" in said
    assert "Permutation p" not in [name for name, _, _ in cards(run)]


def test_sites_lead_with_the_auc_within_them_and_say_why(tmp_path):
    design, _ = worlds.sites((0.2, 0.4, 0.6, 0.8), 80)
    run = RunFiles(study(tmp_path / "run", design, 2.5, 4, shift=2.0))
    led = leading_forecast(run.metrics, run.lead)
    pooled = run.metric(run.lead, "auc")
    assert pooled is not None
    assert led.auc > pooled["value"] + 0.05
    said = answer(run).sentence
    assert f"AUC of {led.auc:.2f} within folds (people held out together), as the folds" in said
    assert cards(run)[0][0] == "AUC within folds"
    grid = result_tables.variants_table(run)
    assert grid is not None
    assert "AUC within folds" in grid.columns
    rivals = run.table("tables/baselines.tsv", ("confound",), ("auc", "difference"))
    assert rivals["auc"].iloc[0] == pytest.approx(led.auc, abs=1e-6)
    text = evaluation_paragraph(GroupRun(run.folder))
    assert "pairs of participants of the same fold" in text


def test_a_prevalence_is_said_with_the_values_that_hold_for_it(tmp_path):
    design = worlds.cross_validation(half(60), 6, np.random.default_rng(1))
    folder = study(tmp_path / "run", design, 2.0, 2, "evaluation.prevalence=0.05")
    run = RunFiles(folder)
    named = {name: remark for name, _, remark in cards(run)}
    assert named["Positive predictive value"].endswith("; if 5% are positive")
    assert "Accuracy" not in named
    grid = result_tables.prevalence_table(run)
    assert grid is not None
    assert grid.caption.endswith("where 5.0% are positive")
    curves = notes(run)
    assert "For 5% positive" in curves["decision_curve"]
    group = GroupRun(folder)
    assert "at 5% positive" in " ".join(results_section(group).paragraphs)
    assert "also given for a share of positives of 5%" in evaluation_paragraph(group)
    bare = replace(EvaluationSettings(), resamples=100, permutations=99)
    evaluate(folder, bare)
    (folder / "recipe.yaml").write_text(dump_recipe(load_recipe("t1w", SETTINGS)))
    alone = RunFiles(folder)
    assert "as in this cohort" in notes(alone)["calibration"]
    assert "hold for the share of positives of this cohort only" in evaluation_paragraph(
        GroupRun(folder)
    )
    assert result_tables.prevalence_table(alone) is None


def test_methods_name_predictors_and_call_models_what_they_are(tmp_path):
    design = worlds.cross_validation(half(60), 6, np.random.default_rng(1))
    folder = study(tmp_path / "run", design, 1.0, 2, "evaluation.permute_within=[site]")
    text = evaluation_paragraph(GroupRun(folder))
    assert "a logistic regression (thickness)" in text
    assert "a logistic regression on the site (site)" in text
    assert "ridge" not in text
    assert "Outcomes changed place within site only" in text
    permutations = RunFiles(folder).table("tables/permutations.tsv", ("method",))
    assert permutations["method"].iloc[0].startswith("within site")


def test_one_hold_out_is_told_without_the_caveats_of_cross_validation(tmp_path):
    design = worlds.hold_outs(half(120), 0.5, 1, np.random.default_rng(1))
    folder = study(tmp_path / "run", design, 2.0, 2)
    run = RunFiles(folder)
    assert "other people" not in answer(run).sentence
    assert run.metric(run.lead, "auc@retrained") is None
    texts = [evaluation_paragraph(GroupRun(folder)), *notes(run).values()]
    assert not any("nominal .05" in text for text in texts)

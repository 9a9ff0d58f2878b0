"""A whole evaluation from state files."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bidsapp.errors import BadData
from bidsapp.evaluation.column_warnings import lacking_columns
from bidsapp.evaluation.describe import ROW
from bidsapp.evaluation.ensembles import with_ensembles
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.held_out import HeldOut, held_out_ratio
from bidsapp.evaluation.metric_table import COLUMNS, mean_over_folds, metric_table
from bidsapp.evaluation.pooled import doubts, subgroup_results
from bidsapp.evaluation.settings import EvaluationSettings, VariantSettings, settings_of_run
from bidsapp.evaluation.stamp import stamp
from bidsapp.evaluation.state import read_state
from bidsapp.evaluation.tsv import write_table
from tests.unit.evaluation_runs import become_positive_later, write_run
from tests.unit.fitted_steps import leaks

PLANES = ("axial", "coronal", "sagittal")
QUICK = EvaluationSettings(
    tests=("permutation", "delong", "mcnemar"),
    subgroups=("sex",),
    baselines=("majority", "age_sex", "logistic", "site", "regions"),
    predictors=("age",),
    site="site",
    permutations=99,
    resamples=200,
    ensembles={"mean_probability": (PLANES, "mean"), "majority_vote": (PLANES, "vote")},
    reported={"axial": {"auc": 0.56, "recall": 0.36}, "logistic": {"auc": 0.7}},
)


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(9)
    covariates = {
        "age": [round(float(v), 1) for v in rng.normal(40, 9, 48)],
        "sex": ["F", "F", "M", "M"] * 12,
        "site": ["A" if (i % 2) ^ (i % 12 == 0) else "B" for i in range(48)],
    }
    return write_run(tmp_path / "run", covariates=covariates)


def write_metrics(run, plan):
    """Write `metrics.tsv` of the networks and ensembles alone, as no other table is looked at."""
    state = read_state(run)
    scores = with_ensembles(state.scores, plan.ensembles, plan.threshold)
    found = metric_table(scores, state.splits, plan, groups=state.groups, inner=state.inner)
    table = stamp(found, plan)
    write_table(table, run / "metrics.tsv")
    return table


def read(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, dtype=str)


def test_metrics_file_has_its_columns_scopes_and_reasons(run):
    write_metrics(run, QUICK)
    table = read(run / "metrics.tsv")
    assert tuple(table.columns) == COLUMNS
    assert set(table["variant"]) == {*PLANES, "mean_probability", "majority_vote"}
    assert set(table["scope"]) == {"pooled", "mean", *(f"fold-{k}" for k in range(1, 9))}
    undefined = table[table["value"] == "n/a"]
    assert len(undefined)
    assert (undefined["note"] != "n/a").all()
    assert not (table == "").any(axis=None)
    assert not table.isin(["nan", "inf", "-inf"]).any(axis=None)
    pooled = table[(table["scope"] == "pooled") & (table["value"] != "n/a")]
    without = pooled[(pooled["ci_method"] == "n/a") & (pooled["note"] == "n/a")]
    assert without.empty


def test_everything_is_written_and_reproduces(run):
    evaluate(run, QUICK)
    written = sorted(path for path in run.rglob("*.tsv") if path.parent != run)
    names = {f"{path.parent.name}/{path.stem}" for path in written}
    assert names == {
        *(f"figures/{name}" for name in ("roc", "precision_recall", "calibration")),
        *("figures/decision_curve", "figures/permutation_null"),
        *(f"tables/{name}" for name in ("findings", "comparisons", "permutations", "confounds")),
        *(f"tables/{name}" for name in ("baselines", "cohort", "planning", "printed")),
        *("tables/ensemble_scores", "tables/baseline_scores", "tables/other_runs"),
        *("tables/columns", "tables/sites"),
    }
    before = {path: path.read_bytes() for path in [*written, run / "metrics.tsv"]}
    evaluate(run, QUICK)
    assert before == {path: path.read_bytes() for path in before}


def test_the_confound_comes_first_and_what_is_lacking_last(run):
    found = evaluate(run, QUICK).tables["findings"]
    assert found["kind"].iloc[:2].tolist() == ["separation", "confound"]
    assert found["text"].iloc[0].startswith("CONFOUND: site (AUC by itself 0.92")
    assert "site alone predicts" in found["text"].iloc[1]
    assert found["text"].iloc[-1].startswith("No baseline regions: needs columns region_*")
    assert found["kind"].eq("result").sum() == 5


def test_a_result_is_told_in_plain_words_with_its_numbers(run):
    result = evaluate(run, QUICK)
    pooled = result.metrics[result.metrics["scope"] == "pooled"].set_index(["variant", "metric"])
    auc, wide = pooled.loc["axial", "auc"], pooled.loc["axial", "auc@retrained"]
    p = result.tables["permutations"].set_index("variant")["p"]["axial"]
    expected = (
        f"axial: AUC {auc['value']:.2f} in held-out people (0.5 is chance, 1 perfect); 95% "
        f"interval {auc['ci_low']:.2f} to {auc['ci_high']:.2f}, or {wide['ci_low']:.2f} to "
        f"{wide['ci_high']:.2f} if it were trained on other people: better than chance (0.50); "
        f"p = {p:.2g} against chance (outcomes permuted, scores fixed: with cross-validated scores "
        "a nominal .05 means about .10); n = 48 people."
    )
    assert expected in set(result.tables["findings"]["text"])


def test_a_card_is_told_subgroups_and_what_weakens_the_model(run):
    result = evaluate(run, QUICK)
    rows = result.metrics[result.metrics["metric"] == "auc"]
    women = rows[(rows["scope"] == "subgroup:sex=F") & (rows["variant"] == "axial")].iloc[0]
    found = subgroup_results(run, "axial")
    assert set(found) == {"sex=F", "sex=M"}
    assert found["sex=F"].startswith(f"{women['value']:.2f} (95 % CI {women['ci_low']:.2f} to ")
    assert found["sex=F"].endswith("n = 24 people")
    told = doubts(run, "axial")
    assert any("site alone predicts" in text for text in told)
    assert not any("coronal (AUC" in text for text in told)


def test_subgroups_are_flagged_where_small(run):
    metrics = evaluate(run, QUICK).metrics
    women = metrics[(metrics["scope"] == "subgroup:sex=F") & (metrics["variant"] == "axial")]
    assert (women["n"] == 24).all()
    assert not women["note"].str.contains("fewer than 10").any()
    state = read_state(run)
    rare = state.cohort["sex"].where(np.arange(48) > 5, "X").tolist()
    write_run(run, covariates={"sex": rare})
    plan = replace(QUICK, baselines=())
    metrics = evaluate(run, plan).metrics
    small = metrics[metrics["scope"] == "subgroup:sex=X"]
    assert small["note"].str.startswith("fewer than 10 of a class (3 positive, 3 negative)").all()


def test_a_column_that_is_not_there_costs_its_subgroups_only(run):
    result = evaluate(run, replace(QUICK, subgroups=("height", "sex"), baselines=()))
    assert {"subgroup:sex=F", "subgroup:sex=M"} <= set(result.metrics["scope"])
    assert result.tables["findings"]["text"].str.startswith("No subgroups by height").any()


def test_what_a_cohort_lacks_is_known_before_training(run):
    lacking = lacking_columns(
        replace(QUICK, subgroups=("height", "sex")), pd.DataFrame(columns=["sex", "age"])
    )
    # regions and quality numbers are measured by the run itself
    assert set(lacking) == {"baseline site", "subgroups by height"}


def test_print_stands_beside_ours(run):
    table = evaluate(run, QUICK).tables["printed"].set_index(["variant", "metric"])
    assert table.loc[("axial", "recall"), "inside"] == "no"
    assert table.loc[("logistic", "auc"), "ours"] > 0


def test_a_leak_is_stamped_on_every_row_that_depends_on_it(run):
    steps = leaks(
        "representation.zscore: dataset", "evaluation.best_fold: true", "saliency.folds: best"
    )
    leaky = VariantSettings(best_fold=True, leaks=steps)
    evaluate(run, replace(QUICK, variants={"coronal": leaky}))
    paths = [run / "metrics.tsv", *run.glob("tables/*.tsv"), *run.glob("figures/*.tsv")]
    for path in paths:
        table = read(path)
        about = [name for name in ("variant", "first", "second") if name in table]
        if not about:
            continue
        depends = table[about].isin(["coronal", "mean_probability", "majority_vote"]).any(axis=1)
        notes = table["note"] if "note" in table else pd.Series("", index=table.index)
        stamped = notes.str.startswith("LEAK: representation.zscore: dataset")
        assert (stamped == depends).all(), path
    first = read(run / "tables" / "findings.tsv").iloc[0]
    assert first["kind"] == "leak"
    assert "coronal" in first["text"]
    told = read(run / "tables" / "findings.tsv").query("kind == 'result'")["text"]
    leaking = told.str.match("(coronal|mean_probability|majority_vote): ")
    assert leaking.sum() == 3
    assert (told.str.endswith("LEAK: representation.zscore: dataset.") == leaking).all()
    best = read(run / "tables" / "best_fold.tsv")
    assert set(best["variant"]) == {"coronal"}
    assert "chance" in best
    assert best["note"].str.contains("evaluation.best_fold: true").all()
    metrics = (run / "metrics.tsv").read_text()
    assert "best_fold" not in metrics
    assert "saliency" not in metrics


def test_a_leak_of_the_whole_run_spares_baselines_that_see_no_image(run):
    plan = replace(QUICK, leaks=leaks("representation.zscore: dataset"))
    metrics = evaluate(run, plan).metrics
    stamped = metrics.groupby("variant")["note"].agg(lambda n: n.str.startswith("LEAK").all())
    assert stamped.loc[[*PLANES, "majority_vote"]].all()
    assert not stamped.loc[["logistic", "majority"]].any()
    plan = replace(QUICK, leaks=leaks("evaluation.fitted_threshold: test_fold"))
    assert evaluate(run, plan).metrics["note"].str.startswith("LEAK: evaluation").all()


def test_a_variant_is_evaluated_alike_whatever_else_ran(run):
    everything = write_metrics(run, QUICK).query("variant == 'sagittal'")
    path = run / "scores.tsv"
    lines = path.read_text().splitlines()
    kept = [lines[0], *(line for line in lines if "\tsagittal\t" in line)]
    path.write_text("\n".join([*kept, ""]))
    alone = write_metrics(run, QUICK)
    pd.testing.assert_frame_equal(
        everything.reset_index(drop=True), alone.reset_index(drop=True), check_dtype=False
    )


def test_repeats_do_not_make_more_people(tmp_path):
    once = write_run(tmp_path / "once", variants=("a",))
    often = write_run(tmp_path / "often", variants=("a",))
    for name in ("splits.tsv", "scores.tsv"):
        table = read(often / name)
        again = [table.assign(repeat=str(number)) for number in (1, 2, 3)]
        pd.concat(again).to_csv(often / name, sep="\t", index=False)
    tables = [write_metrics(run, QUICK) for run in (once, often)]
    pooled = [table[table["scope"] == "pooled"].reset_index(drop=True) for table in tables]
    pd.testing.assert_frame_equal(*pooled)
    assert (pooled[1]["n"] == 48).all()
    assert {"fold-1.1", "fold-3.8"} <= set(tables[1]["scope"])


def test_sessions_are_resampled_as_people(tmp_path):
    table = write_metrics(write_run(tmp_path, sessions=2, variants=("a",)), QUICK)
    pooled = table[table["scope"] == "pooled"].set_index("metric")
    assert pooled.loc["auc", "n"] == 96
    assert pooled.loc["accuracy", "ci_method"] == "clustered bootstrap, BCa"


def test_people_are_counted_where_each_has_one_outcome_and_else_scans(tmp_path):
    sexes = {"sex": ["F", "F", "M", "M"] * 5}
    run = write_run(tmp_path, n=20, folds=4, sessions=2, variants=("a",), covariates=sexes)
    once = write_run(tmp_path / "once", n=20, folds=4, variants=("a",), covariates=sexes)
    tables = evaluate(run, QUICK).tables
    by_people = evaluate(once, QUICK).tables["cohort"]
    pd.testing.assert_frame_equal(tables["cohort"], by_people)
    told = "\n".join(tables["findings"]["text"])
    assert "n = 40 scans of 20 people." in told
    assert "smaller class" not in told

    become_positive_later(run)
    tables = evaluate(run, QUICK).tables
    assert tables["cohort"]["first"].tolist() == ["5 (50%)", "5 (50%)"]
    assert tables["cohort"]["second"].tolist() == ["15 (50%)", "15 (50%)"]
    assert tables["cohort"]["p"].isna().all()
    assert "not independent" in tables["cohort"]["note"][0]
    assert (tables["planning"]["n"].max(), tables["planning"]["n"].min()) == (20, 10)


def test_hold_out_has_no_mean_interval_and_no_fitted_threshold(tmp_path):
    run = write_run(tmp_path, n=40, folds=2, variants=("a",))
    for name in ("splits.tsv", "scores.tsv"):
        lines = (run / name).read_text().splitlines()
        fold = lines[0].split("\t").index("fold")
        kept = [line for line in lines[1:] if line.split("\t")[fold] == "1"]
        (run / name).write_text("\n".join([lines[0], *kept, ""]))
    table = write_metrics(run, QUICK)
    mean = table[(table["scope"] == "mean") & (table["metric"] == "auc")].iloc[0]
    assert np.isnan(mean["ci_low"])
    assert "fewer than two folds" in mean["note"]
    fitted = table[(table["scope"] == "pooled") & (table["metric"] == "accuracy@fitted")].iloc[0]
    assert np.isnan(fitted["value"])
    assert "no threshold" in fitted["note"]


def test_one_class_gives_a_table_of_reasons(tmp_path):
    run = write_run(tmp_path, n=16, folds=4, variants=("a",))
    for name in ("cohort.tsv", "scores.tsv"):
        table = read(run / name).assign(outcome="1")
        table.to_csv(run / name, sep="\t", index=False)
    result = evaluate(run, replace(QUICK, subgroups=(), site=None))
    pooled = result.metrics[result.metrics["scope"] == "pooled"].set_index("metric")
    assert np.isnan(pooled.loc["auc", "value"])
    assert "one class" in pooled.loc["auc", "note"]
    assert result.tables["permutations"]["p"].isna().all()


def test_an_edited_file_stops_the_evaluation_before_anything_is_written(run):
    path = run / "scores.tsv"
    path.write_text(path.read_text().replace("\taxial\t", "\taxail\t", 1))
    with pytest.raises(BadData, match=r"scores\.tsv"):
        evaluate(run, QUICK)
    assert not (run / "metrics.tsv").exists()


def test_nadeau_bengio_uses_the_sizes_of_the_folds():
    splits = pd.DataFrame(
        {
            "repeat": 1,
            "fold": np.repeat(np.arange(8), 16),
            "role": np.tile(["test"] * 2 + ["train"] * 13 + ["validation"], 8),
        }
    )
    assert held_out_ratio(splits) == pytest.approx(1 / 7)


def test_the_mean_over_folds_tells_of_folds_without_a_value():
    folds = [
        pd.DataFrame([["precision", v, np.nan, np.nan, "", 6, note]], columns=ROW)
        for v, note in ((0.5, ""), (np.nan, "nobody was called positive"), (0.7, ""))
    ]
    row = mean_over_folds(folds, HeldOut(ratio=0.5, tests=3.0)).iloc[0]
    assert row["value"] == pytest.approx(0.6)
    assert row["n"] == 18
    assert row["note"].startswith("undefined in 1 of 3 folds")
    assert 0 <= row["ci_low"] < row["ci_high"] <= 1


def test_settings_come_from_the_recipe_of_the_run(run):
    from bidsapp.recipes import dump_recipe, load_recipe

    recipe = load_recipe("attias2025")
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    settings = settings_of_run(run)
    assert settings.resamples == recipe.evaluation.bootstrap
    assert set(settings.ensembles) == set(recipe.ensembles)
    assert settings.reported == recipe.reported
    assert settings.base == recipe.base
    assert settings.of("axial").leaks == ()
    assert settings.of("paper").leaks[0].name == "representation.zscore: dataset"
    assert settings.of("paper").best_fold
    assert settings_of_run(run / "nowhere") == EvaluationSettings()


def test_evaluation_imports_neither_torch_nor_images():
    code = (
        "import sys, bidsapp.evaluation.evaluate as _; "
        "print([m for m in ('torch', 'monai', 'nibabel', 'sklearn', 'xgboost', 'statsmodels') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The p value of the whole pipeline, from scores of models trained on permuted outcomes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bidsapp.errors import BadData
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.permutation import METHOD, null_aucs, read_permuted
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import read_state
from tests.unit.evaluation_runs import write_run

PLAN = EvaluationSettings(
    resamples=0, permutations=200, ensembles={"both": (("axial", "coronal"), "mean")}
)


def permuted_table(run, count, seed=0):
    """Noise for every permutation, outcomes permuted, two variants with ties."""
    rng = np.random.default_rng(seed)
    scores = pd.read_csv(run / "scores.tsv", sep="\t", keep_default_na=False)
    people = scores.drop_duplicates("participant_id").set_index("participant_id")["outcome"]
    tables = []
    for number in range(1, count + 1):
        outcome = pd.Series(rng.permutation(people.to_numpy()), index=people.index)
        table = scores.assign(
            outcome=scores["participant_id"].map(outcome),
            probability=rng.integers(0, 9, len(scores)) / 8,  # ties that stay ties in a mean
        )
        table.insert(0, "permutation", number)
        tables.append(table)
    return pd.concat(tables)


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / "run", repeats=2, variants=("axial", "coronal"), effect=3)
    permuted_table(folder, 39).to_csv(folder / "permuted_scores.tsv", sep="\t", index=False)
    return folder


def test_the_null_is_the_pooled_auc_of_every_permutation(run):
    permuted = read_permuted(read_state(run))
    null = null_aucs(permuted, PLAN).set_index(["variant", "permutation"])["auc"]
    assert len(null) == 3 * 39
    for number in (1, 20, 39):
        part = permuted[permuted["permutation"] == number]
        means = part.groupby(["variant", "participant_id"])["probability"].mean().unstack(0)
        means["both"] = means[["axial", "coronal"]].mean(axis=1)
        outcome = part.groupby("participant_id")["outcome"].first().loc[means.index]
        for variant in ("axial", "coronal", "both"):
            expected = roc_auc_score(outcome, means[variant])
            assert null[variant, number] == pytest.approx(expected, abs=1e-12)


def test_its_p_value_leads_and_stands_in_the_table(run):
    result = evaluate(run, PLAN)
    table = result.tables["permutations"]
    whole = table[table["method"] == METHOD].set_index("variant")
    assert set(whole.index) == {"axial", "coronal", "both"}
    assert whole["p"].to_numpy() == pytest.approx(1 / 40)
    assert whole["permutations"].eq(39).all()
    assert whole["note"].str.contains("no p below 0.025").all()
    assert set(table["method"]) > {METHOD}
    text = " ".join(result.tables["findings"]["text"])
    assert "p = 0.025 against chance (outcomes permuted, networks trained anew)" in text
    assert "scores fixed" not in text
    assert len(pd.read_csv(run / "figures" / "pipeline_null.tsv", sep="\t")) == 3 * 39


def test_without_permuted_scores_nothing_is_claimed(run):
    (run / "permuted_scores.tsv").unlink()
    result = evaluate(run, PLAN)
    assert METHOD not in set(result.tables["permutations"]["method"])
    assert "pipeline_null" not in result.figures


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("permutation", "first", "line 5: permutation is 'first'"),
        ("probability", "1.5", "line 5: probability"),
        ("outcome", "2", "line 5: outcome"),
        ("participant_id", "sub-77", "line 5: 'sub-77"),
    ],
)
def test_an_edited_table_is_refused_with_its_line(run, column, value, message):
    path = run / "permuted_scores.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table.loc[3, column] = value
    table.to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match=message):
        evaluate(run, PLAN)

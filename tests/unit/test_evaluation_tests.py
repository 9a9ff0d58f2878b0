"""Permutation, McNemar, comparison of variants, the best of k folds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from bidsapp.evaluation.best_fold import best_fold_table
from bidsapp.evaluation.comparisons import compare_variants, mcnemar
from bidsapp.evaluation.estimates import difference_of, estimate_aucs
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.network_pairs import pair_sentences
from bidsapp.evaluation.permutation import (
    exchangeable,
    permutation_p,
    permute_outcomes,
    permuted,
)
from bidsapp.evaluation.state import read_state
from tests.unit.evaluation_runs import write_run


def rows_of(n, folds=4, effect=0.0, seed=0, repeats=1):
    rng = np.random.default_rng(seed)
    outcome = np.arange(n) % 2
    tables = [
        pd.DataFrame(
            {
                "participant_id": [f"sub-{i:03d}" for i in range(n)],
                "session_id": "n/a",
                "variant": "axial",
                "repeat": repeat,
                "fold": (np.arange(n) // 2) % folds,
                "outcome": outcome,
                "probability": 1 / (1 + np.exp(-rng.normal(size=n) - effect * outcome)),
            }
        )
        for repeat in range(repeats)
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 9), (5, 5), (12, 30), (0, 8)])
def test_mcnemar_like_statsmodels(b, c):
    oracle = statsmodels_mcnemar(np.array([[10, b], [c, 10]]), exact=True)
    assert mcnemar(b, c) == pytest.approx(oracle.pvalue, abs=1e-12)


def test_mcnemar_without_discordant_people_is_undefined():
    assert np.isnan(mcnemar(0, 0))


def test_p_value_counts_the_observed_among_the_permuted():
    assert permutation_p(0.8, np.array([0.5, 0.9, 0.8, 0.6])) == pytest.approx(3 / 5)
    assert permutation_p(0.9, np.full(99, 0.5)) == pytest.approx(1 / 100)
    assert np.isnan(permutation_p(float("nan"), np.array([0.5])))
    assert np.isnan(permutation_p(0.7, np.array([np.nan])))


def test_permutation_finds_an_association_and_reproduces():
    rows = rows_of(60, effect=2)
    first = permute_outcomes(rows, 500, np.random.default_rng(1))
    again = permute_outcomes(rows, 500, np.random.default_rng(1))
    assert first.p == pytest.approx(1 / 501)
    assert (first.null == again.null).all()
    assert first.method == "within folds"
    assert first.note == ""
    crossed = permute_outcomes(rows, 10, np.random.default_rng(1), HeldOut(inflation=2.1))
    assert "nominal" in crossed.note


def test_permutation_of_independent_scores_rejects_one_in_twenty():
    rng = np.random.default_rng(2)
    p = [permute_outcomes(rows_of(40, seed=i), 199, rng).p for i in range(600)]
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_permutation_over_all_people_with_repeats():
    result = permute_outcomes(rows_of(20, repeats=3), 50, np.random.default_rng(0))
    assert result.method.startswith("over all people")
    assert len(result.null) == 50


def by_site(seed, beyond=0.0):
    """Scores that know the site, where most are positive at one; and something beyond it."""
    rng = np.random.default_rng(seed)
    site = np.arange(80) // 40
    outcome = (rng.random(80) < np.where(site, 0.8, 0.2)).astype(int)
    score = 2.0 * site + beyond * outcome + rng.normal(size=80)
    rows = rows_of(80).assign(fold=0, outcome=outcome, probability=1 / (1 + np.exp(-score)))
    return rows, pd.Series(np.where(site, "B", "A"), index=rows.index)


def test_what_goes_with_a_site_is_a_finding_unless_outcomes_are_permuted_within_it():
    rng = np.random.default_rng(0)
    open_, within = [], []
    for seed in range(150):
        rows, site = by_site(seed)
        open_.append(permute_outcomes(rows, 99, rng).p <= 0.05)
        found = permute_outcomes(rows, 99, rng, within=site, named="site")
        within.append(found.p <= 0.05)
        assert found.method == "within site and folds"
    assert np.mean(open_) > 0.9
    assert np.mean(within) < 0.11
    rows, site = by_site(0, beyond=2.0)
    assert permute_outcomes(rows, 99, rng, within=site, named="site").p <= 0.05


def test_sites_of_one_class_leave_nothing_to_permute():
    rows, site = by_site(0)
    rows = rows.assign(outcome=(site == "B").astype(int))
    found = permute_outcomes(rows, 99, np.random.default_rng(0), within=site, named="site")
    assert np.isnan(found.p)
    assert "no outcome can change place" in found.note


def test_permutation_of_one_class_is_undefined():
    result = permute_outcomes(rows_of(20).assign(outcome=1), 50, np.random.default_rng(0))
    assert np.isnan(result.p)
    assert "one class" in result.note


def test_permuted_sessions_stay_together_and_folds_keep_their_positives():
    participant = np.repeat([f"sub-{i}" for i in range(12)], 2)
    fold = np.repeat(np.arange(12) % 2, 2)
    outcome = np.repeat(np.arange(12) % 3 == 0, 2).astype(float)
    groups = exchangeable(participant, fold)
    shuffled = permuted(outcome, groups, 40, np.random.default_rng(0))
    assert (shuffled[:, ::2] == shuffled[:, 1::2]).all()
    assert (shuffled != outcome).any()
    for where in (0, 1):
        assert (shuffled[:, fold == where].sum(axis=1) == outcome[fold == where].sum()).all()


def best_by_ranks(
    positives: Sequence[int], negatives: Sequence[int], draws: int, rng: np.random.Generator
) -> np.ndarray:
    """(draws,) largest AUC among folds whose untied scores say nothing, by the sums of ranks."""
    best = np.full(draws, -np.inf)
    for m, n in zip(positives, negatives, strict=True):
        order = rng.permuted(np.tile(np.arange(1.0, m + n + 1), (draws, 1)), axis=1)
        wins = order[:, :m].sum(axis=1) - m * (m + 1) / 2
        best = np.maximum(best, wins / (m * n))
    return best


def test_best_fold_of_one_class_folds_is_undefined():
    rows = rows_of(8).assign(fold=lambda t: t["outcome"])
    table = best_fold_table(rows, 0.5, 20, np.random.default_rng(0))
    assert table["value"].isna().all()
    assert (table["note"] == "no fold has both classes").all()


def test_best_fold_stands_beside_its_chance():
    rows = rows_of(128, folds=8)
    table = best_fold_table(rows, 0.5, 3000, np.random.default_rng(5)).set_index("metric")
    expected = best_by_ranks([8] * 8, [8] * 8, 20_000, np.random.default_rng(6))
    assert table.loc["auc", "chance"] == pytest.approx(expected.mean(), abs=0.01)
    limits = table.loc["auc", ["chance_low", "chance_high"]].tolist()
    assert limits == pytest.approx(np.percentile(expected, [2.5, 97.5]), abs=0.02)
    assert table.loc["auc", "chance_low"] < table.loc["auc", "value"]
    assert table.loc["auc", "p"] > 0.01
    assert table["folds"].eq(8).all()


def test_variants_are_compared_in_pairs_and_corrected(tmp_path):
    scores = read_state(write_run(tmp_path, n=60, effect=1.0)).scores
    table = compare_variants(scores)
    assert len(table) == 6
    wide = scores.pivot(index="participant_id", columns="variant", values="probability")
    outcome = scores.drop_duplicates("participant_id").set_index("participant_id")["outcome"]
    both = wide[["axial", "coronal"]].to_numpy().T
    (first, second), correlation = estimate_aucs(outcome.loc[wide.index].to_numpy(bool), both)
    direct = difference_of(first, second, correlation[0, 1])
    row = table[(table["test"] == "delong") & (table["second"] == "coronal")].iloc[0]
    assert row["p"] == pytest.approx(direct.p)
    assert (table["p_holm"] >= table["p"]).all()
    right = (wide >= 0.5).eq(outcome.loc[wide.index].astype(bool), axis=0)
    exact = mcnemar(
        int((right["axial"] & ~right["coronal"]).sum()),
        int((~right["axial"] & right["coronal"]).sum()),
    )
    row = table[(table["test"] == "mcnemar") & (table["second"] == "coronal")].iloc[0]
    assert row["p"] == pytest.approx(exact, nan_ok=True)


def test_one_network_under_two_names_is_not_compared_with_itself(tmp_path):
    scores = read_state(write_run(tmp_path, n=60, effect=1.0)).scores
    again = scores[scores["variant"] == "axial"].assign(variant="again")
    alone, both = compare_variants(scores), compare_variants(pd.concat([scores, again]))
    pair = both[(both["first"] == "axial") & (both["second"] == "again")]
    assert pair["p"].isna().all()
    assert pair["note"].str.contains("one network under two names").all()
    # nor does it stand in the family that others are corrected for by itself
    assert both["p"].notna().sum() < len(both)
    names = ["axial", "coronal", "sagittal", "again"]
    assert "axial and again have the same scores." in " ".join(pair_sentences(both, names))
    assert "same scores" not in " ".join(pair_sentences(alone, names))


def test_sessions_forbid_mcnemar_with_a_reason(tmp_path):
    scores = read_state(write_run(tmp_path, sessions=2)).scores
    table = compare_variants(scores, ("mcnemar",))
    assert table["p"].isna().all()
    assert table["note"].str.contains("several rows per person").all()


def test_variants_on_different_people_are_compared_where_both_are():
    rows = rows_of(40)
    other = rows.iloc[4:].assign(variant="other")
    table = compare_variants(pd.concat([rows, other]), ("delong",))
    assert table.loc[0, "n"] == 36
    assert "36" in table.loc[0, "note"]

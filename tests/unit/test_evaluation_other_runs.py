"""What was tried beside a run: counted by the images, whatever the runs are called."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.other_runs import best_by_chance, other_runs, tried, tried_words
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.tsv import read_table
from tests.unit.evaluation_runs import write_run

QUICK = EvaluationSettings(permutations=50, resamples=50)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two variants, alone in its output folder."""
    return write_run(tmp_path / "out" / "group" / "mine", n=24, folds=4, variants=("a", "b"))


def beside(run: Path, label: str) -> Path:
    """A copy of the run under another label."""
    return Path(shutil.copytree(run, run.with_name(label)))


def changed(run: Path, **columns: object) -> None:
    table = pd.read_csv(run / "cohort.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.assign(**columns).to_csv(run / "cohort.tsv", sep="\t", index=False)  # type: ignore[arg-type]


def table_of(run: Path) -> pd.DataFrame:
    cohort = read_table(run / "cohort.tsv", ("participant_id", "session_id", "outcome"))
    return other_runs(run, cohort)


def test_a_run_alone_says_so_and_what_it_cannot_see(run: Path) -> None:
    assert table_of(run).empty
    text = tried_words(table_of(run))
    assert "holds no other scored run on these participants" in text
    assert "runs elsewhere, and runs that were removed, are not seen" in text


def test_runs_on_the_same_people_are_counted_by_image_or_name(run: Path) -> None:
    beside(run, "mine_20250101-101010")  # set aside under its date
    renamed = beside(run, "renamed")
    people = [f"sub-x{k}" for k in range(24)]
    changed(renamed, participant_id=people)  # the images are the same
    again = beside(run, "normalised_anew")
    changed(again, sha256=["f" * 64] * 24)  # the names are
    strangers = beside(run, "strangers")
    changed(strangers, participant_id=people, sha256=["e" * 64] * 24)
    other = beside(run, "other_outcome")
    outcome = np.arange(24) // 2 % 2
    changed(other, outcome=[str(one) for one in outcome])
    opposite = beside(run, "opposite")
    changed(opposite, outcome=[str(1 - k % 2) for k in range(24)])
    beside(run, "unfinished").joinpath("scores.tsv").unlink()
    table = table_of(run).set_index("run")
    assert sorted(table.index) == sorted(
        ["mine_20250101-101010", "renamed", "normalised_anew", "other_outcome", "opposite"]
    )
    assert table.loc["other_outcome", "outcome"] == "other"
    assert set(table.drop("other_outcome")["outcome"]) == {"same"}
    assert (table["shared"] == 24).all()
    found = tried(table_of(run))
    assert (found.runs, found.networks, found.others) == (4, 8, 1)


def test_simulated_and_broken_runs_are_no_trials(run: Path) -> None:
    simulated = beside(run, "simulated")
    scores = pd.read_csv(simulated / "scores.tsv", sep="\t")
    scores.assign(simulated="SIMULATED").to_csv(simulated / "scores.tsv", sep="\t", index=False)
    (beside(run, "broken") / "cohort.tsv").write_text("participant_id\nsub-1\n")
    assert table_of(run).empty


def test_many_trials_are_a_doubt_with_what_the_best_is_by_chance(run: Path) -> None:
    beside(run, "one")
    beside(run, "two")
    evaluate(run, QUICK)
    kinds = set(read_table(run / "tables" / "findings.tsv", ("kind", "text"))["kind"])
    assert "tried" not in kinds  # four networks of two other runs
    beside(run, "three")
    evaluate(run, QUICK)
    findings = read_table(run / "tables" / "findings.tsv", ("kind", "text"))
    text = findings.loc[findings["kind"] == "tried", "text"].item()
    assert text.startswith("3 other runs of this output folder scored 6 networks")
    assert f"about {best_by_chance(8, 12, 12):.2f}" in text
    assert "Runs elsewhere are not seen." in text


def test_the_best_of_many_by_chance_is_what_simulated_studies_give() -> None:
    rng = np.random.default_rng(0)
    m = n = 30
    order = rng.permuted(np.tile(np.arange(1.0, m + n + 1), (4000 * 6, 1)), axis=1)
    auc = (order[:, :m].sum(axis=1) - m * (m + 1) / 2) / (m * n)
    best = auc.reshape(4000, 6).max(axis=1).mean()
    assert best_by_chance(6, m, n) == pytest.approx(best, abs=0.005)


@given(st.integers(1, 1000), st.integers(1, 500), st.integers(1, 500))
def test_more_trials_never_lower_the_best(networks: int, positives: int, negatives: int) -> None:
    one, more = (best_by_chance(k, positives, negatives) for k in (networks, networks + 1))
    assert 0.5 <= one <= more <= 1
    assert np.isnan(best_by_chance(networks, positives, 0))

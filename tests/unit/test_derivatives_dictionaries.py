"""Data dictionaries: every column of every table is described, and nothing that is not there."""

import json
from pathlib import Path

import pytest

from bidsapp import simulation
from bidsapp.derivatives.column_meanings import METRICS
from bidsapp.derivatives.dictionaries import TABLES, column_of, describe_run, describe_table
from bidsapp.evaluation.findings import KINDS
from bidsapp.evaluation.metrics import METRICS as COMPUTED
from bidsapp.evaluation.thresholds import FITTED
from bidsapp.evaluation.validation_words import KINDS as OF_VALIDATIONS
from bidsapp.saliency import peaks, regions, verdict
from tests.integration.running import described
from tests.unit.group_pages import finished_run, reported


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose cohort has columns with the names of other tables' columns."""
    folder = tmp_path_factory.mktemp("out") / "group" / "small"
    extra = {name: [i % 5 for i in range(24)] for name in ("age", "n", "p", "value", "ci_low")}
    finished_run(folder, variants=("axial",), n=24, covariates=extra)
    reported(folder)
    describe_run(folder)
    return folder


def test_every_table_of_a_run_is_described_and_nothing_else(run: Path) -> None:
    tables = sorted(path.relative_to(run).as_posix() for path in run.rglob("*.tsv"))
    assert {"cohort.tsv", "metrics.tsv", "tables/cohort.tsv", "figures/roc.tsv"} <= set(tables)
    assert len(tables) > 20
    for name in tables:
        described(run / name)


def test_a_covariate_is_not_taken_for_a_column_of_ours(run: Path) -> None:
    told = json.loads((run / "cohort.json").read_text())
    for name in ("age", "n", "p", "value", "ci_low"):
        assert told[name]["Description"].startswith("Covariate")
    assert told["outcome"]["Levels"] == {"0": "negative", "1": "positive"}
    assert told["sha256"]["Description"].startswith("SHA-256")


def test_every_metric_and_kind_of_finding_has_its_words() -> None:
    fitted = {f"{name}{FITTED}" for name, metric in COMPUTED.items() if metric.decision}
    assert set(METRICS) == {*COMPUTED, *fitted, "auc@retrained", "auc@within"}
    assert set(TABLES["tables/findings"]["kind"].levels) == {*KINDS, *OF_VALIDATIONS}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("saliency/regions", regions.COLUMNS),
        ("saliency/peaks", [*peaks.COLUMNS, "p_fwe", "p_tfce", "region_painSpheres"]),
        ("saliency/sanity", verdict.COLUMNS),
        ("saliency/biomarkers", ["participant_id", "session_id", "simulated", "insula_R", "n"]),
        ("tables/sensitivity", simulation.COLUMNS),
    ],
)
def test_columns_of_maps_and_simulations_are_known(name: str, columns: list[str]) -> None:
    assert all(column_of(name, column) is not None for column in columns)


def test_a_table_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.tsv").write_text("a\tb\n")
    describe_run(tmp_path)
    describe_table(tmp_path / "notes.tsv", "notes")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.tsv"]

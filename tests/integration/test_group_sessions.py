"""An outcome that changes between the sessions of a person, through the group level."""

import json
from pathlib import Path

import pytest

from tests.integration.group_studies import (
    RECIPE,
    brain,
    rerun,
    write_dataset,
    write_normalised,
)


def test_scans_are_counted_where_people_become_positive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [f"sub-{i:02d}" for i in range(8)]
    write_dataset(tmp_path / "bids", [(who,) for who in people], ("participant_id",))
    for i, who in enumerate(people):
        values = ("no", "yes" if i % 2 else "unknown")
        lines = [f"ses-{k}\t{value}\n" for k, value in enumerate(values, 1)]
        table = tmp_path / "bids" / who / f"{who}_sessions.tsv"
        table.write_text("session_id\tchronic\n" + "".join(lines))
        for k, value in enumerate(values, 1):
            write_normalised(tmp_path / "out", f"{who}_ses-{k}", brain(10 * i + k, value == "yes"))
    (tmp_path / "small.yaml").write_text(RECIPE)
    assert rerun(tmp_path, "--set", "training.epochs=1") == 64
    assert "Name those that are negative, as in --negative no" in capsys.readouterr().err
    named = ("--negative", "no", "unknown", "--set", "training.epochs=1")
    assert rerun(tmp_path, *named) == 0
    said = capsys.readouterr()
    assert "Cohort: 16 scans of 8 participants, 4 positive, 12 negative scans;" in said.out
    assert "n = 16 scans of 8 people." in said.out
    assert "negative: no (8), unknown (4)." in said.err
    run = tmp_path / "out" / "group" / "small"
    assert "negative: no (8), unknown (4)" in (run / "logs" / "cohort.txt").read_text()
    words = (run / "logs" / "CITATION.md").read_text()
    assert "16 scans of 8 participants were analysed: 4 positive (25%) and 12 negative" in words
    card = (run / "model" / "base" / "docs" / "README.md").read_text()
    assert "16 scans of 8 participants, 4 positive (25%), 12 negative;" in card
    drawn = "2-fold cross-validation, stratified by outcome (seed 0): in each fold, 4 participants"
    assert drawn in card
    assert drawn in words
    metadata = json.loads((run / "model" / "base" / "configs" / "metadata.json").read_text())
    counts = {"participants": 8, "scans": 16, "positive": 4, "positive_of": "scans", "excluded": 0}
    assert metadata["cohort"] == counts

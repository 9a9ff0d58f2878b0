"""A diary of attacks as outcome: known responders, through the plan and through a run."""

from pathlib import Path

import pytest

from tests.integration.group_studies import (
    brain,
    rerun,
    table_of,
    write_dataset,
    write_normalised,
)

# Three attacks each: W relieved, L not, R relieved and back within a day, ? not written down.
ATTACKS = {
    "sub-00": ("WWL", 1), "sub-01": ("LLL", 0), "sub-02": ("WRW", 1), "sub-03": ("RRW", 0),
    "sub-04": ("WWW", 1), "sub-05": ("LWL", 0), "sub-06": ("LWW", 1), "sub-07": ("LLR", 0),
    "sub-08": ("WW", "too few rows in the diary"),
    "sub-09": ("WW?", "missing in the diary"),
    "sub-10": ("WWM", "not understood in the diary"),
    "sub-11": ("WWT", "tied rows in the diary"),
}  # fmt: skip
VALUES = {
    "W": ("8", "3", "no"), "L": ("8", "7", "no"), "R": ("8", "0", "yes"),
    "?": ("8", "n/a", "no"), "M": ("8", "mild", "no"), "T": ("8", "0", "no"),
}  # fmt: skip
RECIPE = """\
name: diary
summary: Responders in two of three attacks, for tests
outcome:
  expression: >-
    count((vas_2h == 0 or vas_2h <= 0.5 * vas_pre) and recurrence_24h == "no") >= 2
  rows: 3
  order: attack
representation: {kind: slab, plane: axial, slices: 3}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 1, batch_size: 4, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """People with a diary whose lines are in no order."""
    lines = []
    for place, (who, (attacks, _)) in enumerate(ATTACKS.items()):
        write_normalised(tmp_path / "out", who, brain(place, bool(place % 2)))
        for number, result in enumerate(attacks, start=1):
            lines.append((who, 2 if result == "T" else number, *VALUES[result]))
    write_dataset(tmp_path / "bids", [(who, 30) for who in ATTACKS], ("participant_id", "age"))
    (tmp_path / "bids" / "phenotype").mkdir()
    header = ("participant_id", "attack", "vas_pre", "vas_2h", "recurrence_24h")
    text = "\n".join("\t".join(map(str, line)) for line in [header, *reversed(lines)])
    (tmp_path / "bids" / "phenotype" / "headache_diary.tsv").write_text(text + "\n")
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


def test_known_responders_come_out_of_the_plan_and_of_a_run(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(study, "--plan") == 0
    told = capsys.readouterr()
    assert "4 positive and 4 negative" in told.out
    for reason in {why for _, why in ATTACKS.values() if isinstance(why, str)}:
        assert f"  {reason}: 1 " in told.err
    assert not (study / "out" / "group").exists()
    assert rerun(study) == 0
    run = study / "out" / "group" / "diary"
    cohort = table_of(run / "cohort.tsv")
    assert dict(zip(cohort["participant_id"], cohort["outcome"].astype(int), strict=True)) == {
        who: value for who, (_, value) in ATTACKS.items() if isinstance(value, int)
    }
    assert not {"vas_2h", "attack", "recurrence_24h"} & set(cohort.columns)
    excluded = table_of(run / "exclusions.tsv").set_index("participant_id")
    assert excluded["reason"].to_dict() == {
        who: why for who, (_, why) in ATTACKS.items() if isinstance(why, str)
    }
    assert excluded.loc["sub-08", "detail"] == "2 of 3 rows in headache_diary"
    assert "vas_2h is 'mild', not a number" in excluded.loc["sub-10", "detail"]
    assert "4 excluded" in capsys.readouterr().out


def test_a_column_of_the_diary_alone_is_no_outcome_and_the_message_says_what_is(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(study, "--plan", "--outcome", "vas_2h", "--positive", "0") == 64
    said = capsys.readouterr().err
    assert "headache_diary has several rows a participant" in said
    assert "count(vas_2h > 0) >= 2" in said

"""Which values of an outcome are positive, negative and missing, and what has to be named."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.dataset.classes import classify, matches
from bidsapp.dataset.expression import parse_expression
from bidsapp.dataset.expression_values import check_values
from bidsapp.dataset.logic import FALSE, TRUE, UNKNOWN
from bidsapp.dataset.missing import looks_missing
from bidsapp.dataset.tables import Table
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError
from tests.unit.cohort_trees import build, normalise, reasons, rule, study

DROPPED = ("lost to follow-up", "declined", "#DIV/0!", "-1", "99", "N.A.", "withdrawn", "8888")


def classes(values: str | Sequence[str], **named: Any) -> dict[str, int]:
    texts = values.split() if isinstance(values, str) else list(values)
    return dict(classify("pain", texts, rule("pain", **named)).of)


def people(tmp_path: Path, values: Sequence[str]) -> None:
    rows = "".join(f"{number}\t{value}\n" for number, value in enumerate(values))
    study(tmp_path / "bids", "")
    (tmp_path / "bids" / "participants.tsv").write_text(f"participant_id\tpain\n{rows}")
    for number in range(len(values)):
        normalise(tmp_path / "out", f"sub-{number}", number)


def test_whoever_was_lost_is_not_well(tmp_path: Path) -> None:
    people(tmp_path, ["1", "1", "0", "0", "0", *DROPPED])
    with pytest.raises(UsageError) as caught:
        build(tmp_path, rule("pain", ["1"]))
    said = str(caught.value)
    assert "which values of 'pain' are negative? Besides the positive (1) it has 0 (3)" in said
    for text in ("lost to follow-up (1)", "declined (1)", "-1 (1)", "99 (1)", "8888 (1)"):
        assert text in said
    assert "#DIV/0!" not in said  # missing, whatever is named
    assert "as in --negative 0 (in a recipe: outcome.negative)" in said

    cohort = build(tmp_path, rule("pain", ["1"], negative=["0"]))
    assert cohort.table["outcome"].tolist() == [1, 1, 0, 0, 0]
    assert cohort.negative == ("0",)
    assert Counter(reasons(cohort).values()) == {
        "neither positive nor negative": 6,
        "no outcome": 2,
    }
    notes = "\n".join(cohort.notes)
    assert "Outcome pain: negative: 0 (3)." in notes
    assert "Outcome pain: missing: no value (2), " in notes
    (missing,) = [note for note in cohort.notes if note.startswith("Outcome pain: missing")]
    assert all(f"{text} (1)" in missing for text in ("lost to follow-up", "-1", "99", "8888"))
    assert "Outcome pain: read as missing: #DIV/0! (1), N.A. (1)." in notes
    assert "WARNING: 8 of 13 people (62%)" in notes


def test_texts_beside_a_text_are_not_its_contrary(tmp_path: Path) -> None:
    people(tmp_path, ["chronic", "recovered", "recovered", *DROPPED])
    with pytest.raises(UsageError, match="as in --negative recovered"):
        build(tmp_path, rule("pain", ["chronic"]))
    cohort = build(tmp_path, rule("pain", ["chronic"], negative=["recovered"]))
    assert cohort.table["outcome"].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("values", "named", "expected"),
    [
        ("1 0 0.0 00", {"positive": [1]}, {"1": 1, "0": 0, "0.0": 0, "00": 0}),  # one value
        ("yes no No", {"positive": ["yes"]}, {"yes": 1, "no": 0, "No": 0}),
        ("1 2 3", {"positive": [3], "negative": [1]}, {"1": 0, "2": -1, "3": 1}),
        ("T F", {"positive": ["T"], "negative": ["F"]}, {"T": 1, "F": 0}),
        ("true false", {"positive": [True], "negative": [False]}, {"true": 1, "false": 0}),
        ("1 0 -1", {"positive": [1], "negative": ["-1", "0"]}, {"1": 1, "0": 0, "-1": 0}),
        ("1 unknown", {"positive": [1], "negative": ["unknown"]}, {"1": 1, "unknown": 0}),
        # a text where numbers are positive says that there is no number
        ("1 0 lost", {"positive": [1]}, {"1": 1, "0": 0, "lost": -1}),
        ("1 0 " * 9 + "lost", {"positive": [1, "chronic"]}, {"1": 1, "0": 0, "lost": -1}),
    ],
)
def test_what_values_count_as(values: str, named: Any, expected: dict[str, int]) -> None:
    assert classes(values, **named) == expected


@pytest.mark.parametrize(
    ("values", "named", "says"),
    [
        ("1 0 99", {"positive": [1]}, "it has 0 (1), 99 (1). Name those that are negative, as in"),
        ("3 0 1 2", {"positive": [3]}, "as in --negative 0 1 2 (in a recipe"),
        ("yes no maybe", {"positive": ["yes"]}, "as in --negative no maybe"),
        ("1 recovered", {"positive": [1]}, "'recovered' (1)"),  # no number is negative
        ("1 0 recovered improved", {"positive": [1, "chronic"]}, "--negative 0 recovered improved"),
        ("yes unknown unknown", {"positive": ["yes"]}, "is 'unknown' (2), which looks like a miss"),
        ("1 -1", {"positive": [1]}, "Say that it is negative (--negative -1), or mend the table"),
        ("1 -9 -9", {"positive": [1]}, "the only value of 'pain' besides the positive one (1)"),
        ("yes no No", {"positive": ["yes"], "negative": ["no"]}, "--negative no No"),
        ("yes no", {"positive": ["yes"], "negative": ["non"]}, "'non' is named as negative"),
        ("1 0 2", {"positive": [1], "negative": [1, 0]}, "'1' is named as positive and as neg"),
        ("1,5 0", {"positive": ["1,5,7"]}, "no value of 'pain' is positive (1,5,7)"),
        ("a b c", {"positive": ["a,b"]}, "Blanks separate values, not commas: --positive a b."),
        (" ".join(map(str, range(20))), {"positive": [19]}, "'outcome.expression=pain >= NUMBER'"),
    ],
)
def test_what_has_to_be_said_first(values: str, named: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        classes(values, **named)
    assert says in str(caught.value)


cells = st.sampled_from(["1", "0", "0.0", "2", "-1", "99", "yes", "no", "No", "lost", "unknown"])
named = st.lists(st.sampled_from(["1", "0", "2", "yes", "no", "lost"]), max_size=3, unique=True)


@given(st.lists(cells, min_size=1, max_size=12), named, named)
def test_nobody_is_negative_who_was_not_named_or_the_only_other_one(
    values: list[str], positive: list[str], negative: list[str]
) -> None:
    try:
        found = classes(values, positive=positive, negative=negative or None)
    except UsageError:
        return
    assert {text for text, value in found.items() if value == TRUE} == {
        text for text in found if matches(text, positive)
    }
    below = {text for text, value in found.items() if value == FALSE}
    if negative:
        assert all(matches(text, negative) for text in below)
    else:
        assert len({text.lower().replace("0.0", "0") for text in below}) <= 1
        assert not any(map(looks_missing, below))
    assert found.keys() == set(values)
    assert set(found.values()) <= {TRUE, FALSE, UNKNOWN}


@pytest.mark.parametrize(
    ("expression", "missing", "outcome"),
    [
        ("pain >= 30", [], [1, 0, 0, 1, None, None]),  # -9 and 99 are what they are
        ("pain >= 30", [-9, "99"], [1, 0, None, None, None, None]),
        ("not pain < 30", [-9, 99], [1, 0, None, None, None, None]),
        ("pain != 20", [-9, 99], [1, 0, None, None, None, None]),
        ("pain in [40, 50]", [-9, 99], [1, 0, None, None, None, None]),
    ],
)
def test_texts_in_numbers_are_missing_in_every_comparison(
    tmp_path: Path, expression: str, missing: list[Any], outcome: list[int | None]
) -> None:
    people(tmp_path, ["40", "20", "-9", "99", "withdrawn", "#REF!"])
    cohort = build(tmp_path, rule(expression=expression, missing=missing))
    found = dict(zip(cohort.table["participant_id"], cohort.table["outcome"], strict=True))
    assert [found.get(f"sub-{n}") for n in range(6)] == outcome
    assert "pain is 'withdrawn', not a number (1)" in "\n".join(cohort.notes)
    (told,) = [note for note in cohort.notes if "read as missing" in note]
    named = {"-9 (1)", "99 (1)"} if missing else set()
    assert set(told.split(": ")[-1].rstrip(".").split(", ")) == {"#REF! (1)", *named}


def test_a_text_in_a_column_of_numbers_is_not_just_another_text(tmp_path: Path) -> None:
    people(tmp_path, ["1", *["0"] * 10, "withdrawn"])
    for expression in ('pain in [1, "chronic"]', 'pain == 1 or pain == "chronic"'):
        cohort = build(tmp_path, rule(expression=expression))
        assert cohort.table["outcome"].tolist() == [1, *[0] * 10]
        assert reasons(cohort) == {"sub-11": "outcome not understood"}


def test_codes_for_missing_in_an_expression_are_asked_about(tmp_path: Path) -> None:
    people(tmp_path, ["40", "20", "-9", "999", "10"])
    with pytest.raises(UsageError) as caught:
        build(tmp_path, rule(expression="pain >= 30"))
    assert "pain: -9 (1), 999 (1) look like missing values" in str(caught.value)
    assert "are missing: --set 'tables.missing=[pain=-9, pain=999]'." in str(caught.value)
    assert "are not: --set 'tables.missing=[pain=]'." in str(caught.value)
    people(tmp_path, ["chronic", "recovered", "unknown", "improved"])
    with pytest.raises(UsageError, match=r"tables\.missing=\[pain=unknown\]"):
        build(tmp_path, rule(expression='pain == "chronic"'))
    cohort = build(tmp_path, rule(expression='pain == "chronic"', missing=["unknown"]))
    assert cohort.table["outcome"].tolist() == [1, 0, 0]
    assert "Outcome pain: other than chronic: recovered (1), improved (1)." in cohort.notes


@pytest.mark.parametrize(
    ("of_outcome", "of_tables", "expected"),
    [
        ([-9, 999], [], [1, 0, None, None]),
        (None, ["pain=-9", "pain=999"], [1, 0, None, None]),
        ([999], ["pain=-9"], [1, 0, None, None]),
        ([], [], [1, 0, 0, 1]),
        (None, ["pain="], [1, 0, 0, 1]),
    ],
)
def test_what_is_missing_is_said_once_for_outcome_and_covariates(
    tmp_path: Path, of_outcome: Any, of_tables: list[str], expected: list[int | None]
) -> None:
    people(tmp_path, ["40", "20", "-9", "999"])
    asked = rule(expression="pain >= 30", missing=of_outcome)
    cohort = build(tmp_path, asked, missing_values=of_tables)
    found = dict(zip(cohort.table["participant_id"], cohort.table["outcome"], strict=True))
    assert [found.get(f"sub-{n}") for n in range(4)] == expected


def test_what_is_missing_in_the_outcome_is_missing_at_its_other_sessions(tmp_path: Path) -> None:
    bids = study(tmp_path / "bids", "participant_id\nsub-0\nsub-1\nsub-2\n")
    for who, (first, last) in enumerate([("10", "50"), ("-9", "20"), ("12", "-9")]):
        folder = bids / f"sub-{who}"
        folder.mkdir(exist_ok=True)
        rows = f"session_id\tpain\nses-1\t{first}\nses-2\t{last}\n"
        (folder / f"sub-{who}_sessions.tsv").write_text(rows)
        normalise(tmp_path / "out", f"sub-{who}_ses-1", who)
    asked = rule(expression="`pain@2` >= 30", missing=[-9])
    cohort = build(tmp_path, asked, asked=["pain@1"])
    assert cohort.table["outcome"].tolist() == [1, 0]
    assert cohort.table["pain@1"].tolist() == ["10", None]


@given(st.lists(st.sampled_from([0, 1, 2, 5, 9, 40, 77, 99, 999, -1, -9, -99]), min_size=1))
def test_an_expression_asks_about_what_a_covariate_warns_of(numbers: list[int]) -> None:
    cells = {(f"sub-{place}", ""): str(number) for place, number in enumerate(numbers)}
    path = Path("participants.tsv")
    table = Table("participants", path, False, {"pain": cells}, frozenset(cells))
    columns = Columns([table])
    warned = bool(columns.suspicions(["pain"]))
    try:
        check_values(parse_expression("pain >= 30"), columns)
    except UsageError:
        assert warned
    else:
        assert not warned

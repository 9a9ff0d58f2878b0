"""Columns as people write them are numbers, read one way, and nothing vanishes without a word."""

import json
import math
import operator
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.dataset.expression import parse_expression
from bidsapp.dataset.missing import suspected_codes
from bidsapp.dataset.numbers import number_of, possible_numbers
from bidsapp.dataset.options_text import set_option
from bidsapp.dataset.reading import read_column
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError
from bidsapp.recipes import load_recipe

AGES = [str(age) for age in range(20, 89, 3)]


def numbers(texts: list[str]) -> list[float]:
    reading = read_column(texts)
    assert reading.kind == "numbers", reading
    return [reading.number(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("89+", 89), ("89 +", 89), (">89", 89), ("> 89", 89), ("≥89", 89), (">=89", 89)),
        *(("90 or older", 90), ("90+ years", 90), ("<5", 5), ("≤ 5", 5), ("5 or less", 5)),
        *(("34,5", 34.5), (",5", 0.5), ("0,125", 0.125), ("−3", -3), ("– 3,5", -3.5)),
        *(("30 y", 30), ("30 years", 30), ("30yrs", 30), ("30 years old", 30), ("30\u00a0y", 30)),
        *(("1e3", 1000), ("1,5e3", 1500), ("1 234", 1234), ("1\u202f234,5", 1234.5)),
        *(("1'234.5", 1234.5), ("1’234", 1234), ("1,234,567", 1234567), ("1.234,5", 1234.5)),
        *(("+7", 7), (" 7 ", 7), ("007", 7), ("\ufeff7", 7)),
    ],
)
def test_a_number_in_a_column_of_numbers(text: str, value: float) -> None:
    assert numbers([*AGES, text])[-1] == value
    assert numbers([*AGES, text])[:-1] == [float(age) for age in AGES]


@pytest.mark.parametrize(
    "text",
    ["20-30", "2020-01-02", "12:30", "1a", "T1", "~30", "1/2", "12 34", "1,23,456", "thirty"],
)
def test_what_is_no_number_is_told_and_missing(text: str) -> None:
    reading = read_column([*AGES, text, text])
    assert reading.kind == "numbers"
    assert math.isnan(reading.number(text))
    assert reading.plain(text) is None
    assert f"not understood, so missing: {text!r} (2)" in reading.told("age")


def test_one_line_says_what_was_read_how() -> None:
    texts = [*AGES, "89+", ">90", "unknown", "unknown", "eighty"]
    assert read_column(texts).told("age") == (
        "Column age is read as numbers: '89+' as 89 and 1 more (limit); missing: 'unknown' (2); "
        "not understood, so missing: 'eighty' (1). Correct the table, or write n/a."
    )
    assert read_column(AGES).told("age") == ""
    assert read_column(["F", "M", "F"]).told("sex") == ""


@pytest.mark.parametrize(
    ("others", "text", "value"),
    [
        (["34,5", "12,25"], "1,234", 1.234),
        (["34.5", "12.25"], "1,234", 1234),
        (["1,234,567"], "1,234", 1234),
        (["1.234,5"], "1.234", 1234),
        (["1.234.567"], "1.234", 1234),
        (["34.5"], "1.234", 1.234),
        (["12"], "1.234", 1.234),
        (["12"], "1,234", None),
        (["34,5", "34.5"], "1,234", None),
        (["34,5"], "1.234", None),
    ],
)
def test_the_other_values_decide_what_a_comma_parts(
    others: list[str], text: str, value: float | None
) -> None:
    reading = read_column([*AGES, *others, text])
    if value is not None:
        assert reading.number(text) == value
    else:
        assert math.isnan(reading.number(text))
        first, second = (f"{n.value:g}" for n in possible_numbers(text).values())
        assert f"{text!r} may be {first} or {second}: write the one that is meant" in reading.told(
            "age"
        )


def test_a_column_of_nothing_but_ambiguous_commas_is_refused_as_numbers() -> None:
    reading = read_column([f"{k},{k}00" for k in range(1, 10)])
    assert reading.kind == "unclear"
    assert "may be 1100 or 1.1" in reading.told("volume")


def test_units_are_not_mixed() -> None:
    texts = [*(f"{age} y" for age in AGES), "30", "6 mo"]
    reading = read_column(texts)
    assert reading.number("30") == 30
    assert math.isnan(reading.number("6 mo"))
    assert "'6 mo' (1)" in reading.told("age")


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2", "1", "unknown"],
        ["1", "2", "3", "X"],
        ["<5", "5-10", ">10"],
        ["<5", "5", ">10"],
        ["A1", "A2", "B1"],
        ["F", "M"],
        ["1a", "2b", "3c", "4d", "5e", "6f", "7g"],
        ["unknown", "unknown"],
    ],
)
def test_categories_stay_as_they_are(texts: list[str]) -> None:
    reading = read_column(texts)
    assert reading.kind == "categories"
    assert [reading.plain(text) for text in texts] == texts
    assert reading.told("x") == ""


def test_too_many_that_are_no_numbers_make_a_column_unclear() -> None:
    texts = [*AGES[:14], *(f"about {k}" for k in range(8))]
    reading = read_column(texts)
    assert reading.kind == "unclear"
    told = reading.told("age")
    assert told.startswith("Column age is not read as numbers: 14 of its values are, too many are")
    assert "'about 0' (1), 'about 1' (1), 'about 2' (1) and 5 more" in told


CLEAN = st.decimals(-99999, 99999, places=2, allow_nan=False).map(lambda d: float(round(d, 2)))


def german(value: float) -> str:
    return f"{value:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


WAYS = {
    "german": german,
    "english": lambda v: f"{v:,.2f}",
    "swiss": lambda v: f"{v:,.2f}".replace(",", "'"),
    "french": lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
    "typeset": lambda v: f"{v:.2f}".replace("-", "\u2212"),
    "unit": lambda v: f"{v:.2f} kg",
    "plain": lambda v: f"{v:.2f}",
    "power": lambda v: f"{v:.12e}",
}


@given(st.sampled_from(sorted(WAYS)), st.lists(CLEAN, min_size=1, max_size=30))
def test_a_column_written_any_way_has_the_same_numbers(way: str, values: list[float]) -> None:
    texts = [WAYS[way](value) for value in values]
    assert numbers(texts) == values
    # and so it has once it is written plainly, which stays as it is
    plain = [read_column(texts).plain(text) for text in texts]
    assert [float(str(text)) for text in plain] == values
    again = read_column([str(text) for text in plain])
    assert [again.plain(text) for text in plain] == plain


@given(st.lists(st.text(max_size=12), max_size=12))
def test_any_texts_can_be_read_and_plain_numbers_keep_their_value(texts: list[str]) -> None:
    reading = read_column(texts)
    reading.told("x")
    assert set(reading.counts) == set(texts)
    for text in texts:
        plain = number_of(text)
        if plain is not None and "." not in text:
            assert reading.number(text) == plain
        if reading.kind == "numbers":
            kept = reading.plain(text)
            lost = text in (*reading.missing, *reading.not_understood)
            infinite = not lost and reading.numbers[text].how == "infinite"
            assert (kept is None) == (lost or infinite)


OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
LIMITS = {"{}+": (0, 1), ">{}": (1, 1), ">={}": (0, 1), "<{}": (1, -1), "≤{}": (0, -1)}


@given(
    st.sampled_from(sorted(LIMITS)),
    st.integers(30, 60),
    st.sampled_from(sorted(OPERATORS)),
    st.integers(25, 65),
    st.booleans(),
)
def test_a_limit_in_an_outcome_holds_only_for_whatever_it_may_be(
    shape: str, limit: int, symbol: str, bound: int, swapped: bool
) -> None:
    text = shape.format(limit)
    reading = read_column([*AGES, text])
    skip, side = LIMITS[shape]
    steps = np.arange(skip, 400) / 4 + (1e-6 if skip else 0)
    may_be = limit + side * steps
    may_be = np.append(may_be, bound) if (bound - limit) * side >= skip / 4 else may_be
    sides = (bound, may_be) if swapped else (may_be, bound)
    truths = set(np.asarray(OPERATORS[symbol](*sides)).tolist())
    asked = f"{bound} {symbol} x" if swapped else f"x {symbol} {bound}"
    result = parse_expression(asked).evaluate({"x": [text, "40"]}, {"x": reading})
    assert result.values[0] == (-1 if len(truths) == 2 else int(truths.pop()))
    assert (0 in result.problems) == (result.values[0] == -1)
    if result.values[0] == -1:
        assert result.problems[0] == f"x is {text!r}, which is a limit and leaves it open"


def test_a_limit_is_not_computed_with_and_equals_its_own_text() -> None:
    reading = {"x": read_column([*AGES, "89+"])}
    computed = parse_expression("x - 1 > 50").evaluate({"x": ["89+", "60"]}, reading)
    assert computed.values.tolist() == [-1, 1]
    assert computed.problems[0] == "x is '89+', which is a limit: not computed with"
    named = parse_expression("x == '89+'").evaluate({"x": ["89+", "89"]}, reading)
    assert named.values.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([*range(20, 79), 999], [999]),
        ([*range(20, 79), 99], [99]),
        ([*range(20, 90), 99], []),
        ([*range(20, 70), 77], []),
        ([*range(20, 79), 999, 888, 998], [888, 998, 999]),
        ([*range(0, 64), -9], [-9]),
        ([*range(-40, 40), -9], []),
        ([*range(-40, 40), -999], [-999]),
        ([1, 2, 9], [9]),
        ([*range(11)], []),
        ([*range(8), 9], []),
        ([0.5, 1.5, 2.5, 999.9], [999.9]),
        ([*range(0, 2000, 7), 999], []),
        ([999, 999], []),
        ([8888, 1.5, 2], [8888]),
        ([0, 1, 0, -1, 99, 8888], [-1, 99, 8888]),
        ([34, 51, 999, -9, 62], [-9, 999]),
        ([40, 99, 99], [99]),
        ([0, 9], [9]),
        ([1, 2], []),
    ],
)
def test_codes_are_suspected_where_they_lie_apart(values: list[float], codes: list[float]) -> None:
    assert suspected_codes(values) == codes


def table(folder: Path, column: str, values: list[str], levels: object = None) -> Path:
    folder.mkdir(exist_ok=True)
    rows = "".join(f"sub-{k:02d}\t{value}\n" for k, value in enumerate(values))
    (folder / "participants.tsv").write_text(f"participant_id\t{column}\n{rows}", encoding="utf-8")
    if levels is not None:
        told = {column: {"Levels": levels}}
        (folder / "participants.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def test_a_suspected_code_is_asked_about_and_both_answers_are_taken(tmp_path: Path) -> None:
    bids = table(tmp_path, "age", [*AGES, "999", "999.0", "-9"])
    asked = Columns.read(bids).suspicions(["age"])
    assert asked[0] == (
        "WARNING: column age: -9 (1) lies apart from the others (20 to 86) and looks like a code "
        "for a missing value. It counts as a number."
    )
    assert "999 (2)" in asked[1]
    assert asked[2] == (
        "Where it is missing: --set 'tables.missing=[age=-9, age=999]'. Where it is a number: "
        "--set 'tables.missing=[age=]'."
    )
    settled = Columns.read(bids, ["age=-9", "age=999"])
    assert settled.suspicions(["age"]) == []
    assert settled.all_values("age") == AGES
    assert settled.told(["age"]) == [
        "Column age: '999' (1) is missing, as the recipe says.",
        "Column age: '999.0' (1) is missing, as the recipe says.",
        "Column age: '-9' (1) is missing, as the recipe says.",
    ]
    kept = Columns.read(bids, ["age="])
    assert kept.suspicions(["age"]) == []
    assert len(kept.all_values("age")) == len(AGES) + 3


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        *(("missing", True), ("Not available", True), ("n/a", True), ("unknown", True)),
        *(("Refused to answer", True), ("missing (not asked)", True), ("no data", True)),
        *(({"Description": "missing value"}, True), ("none", False), ("no pain", False)),
        *(("not painful", False), ("missing limb", False), ("severe", False)),
    ],
)
def test_what_the_data_dictionary_declares_missing_is_missing(
    tmp_path: Path, words: object, missing: bool
) -> None:
    bids = table(tmp_path, "score", [*AGES, "77", "77"], {"0": "no pain", "77": words})
    columns = Columns.read(bids)
    assert ("77" not in columns.all_values("score")) == missing
    assert len(columns.told(["score"])) == int(missing)
    assert "77" in Columns.read(bids, ["score="]).all_values("score")


def test_a_text_that_the_dictionary_explains_stays_a_category(tmp_path: Path) -> None:
    bids = table(tmp_path, "sex", ["F", "M", "U"], {"F": "female", "M": "male", "U": "unknown"})
    assert Columns.read(bids).all_values("sex") == ["F", "M", "U"]


@pytest.mark.parametrize("text", ["[1]", "{", '{"age": 3}', '{"age": {"Levels": [1]}}', "\x00", ""])
def test_a_data_dictionary_that_cannot_be_read_does_no_harm(tmp_path: Path, text: str) -> None:
    bids = table(tmp_path, "age", AGES)
    (bids / "participants.json").write_text(text)
    assert Columns.read(bids).all_values("age") == AGES


def test_a_column_named_wrongly_under_missing_is_refused(tmp_path: Path) -> None:
    bids = table(tmp_path, "age", AGES)
    with pytest.raises(UsageError, match=r"tables\.missing: no column 'agee' .* Did you mean age"):
        Columns.read(bids, ["agee=999"])
    assert Columns.read(bids, ["age=999"]).told(["age"]) == [
        "Column age: '999' is missing, as the recipe says, and stands nowhere."
    ]


@given(st.lists(st.text(min_size=1, max_size=10).filter(lambda t: t.isprintable()), max_size=4))
def test_an_option_that_is_printed_can_be_copied(names: list[str]) -> None:
    words = shlex.split(set_option("tables.same_as_outcome", names))
    assert words[0] == "--set"
    recipe = load_recipe("t1w", words[1:])
    assert recipe.tables.same_as_outcome == tuple(dict.fromkeys(names))


@pytest.mark.parametrize("after", ["-01", " y old y", "x", ".5.5", "e", ","])
def test_a_very_long_row_of_digits_is_read_in_no_time(after: str) -> None:
    """As a damaged table has it: time once went with the square of the digits."""
    text = "9" * 200_000 + after
    began = time.process_time()
    read_column([text, "2"])
    assert time.process_time() - began < 2

"""An outcome from a diary: several rows a participant, aggregates over them, exclusions by name."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.dataset import aggregates
from bidsapp.dataset.outcome import find_outcomes
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError
from bidsapp.recipes.images import Outcome

SUCCESS = (
    "(vas_2h == 0 or vas_2h <= 0.5 * vas_pre or (vas_pre >= 4 and vas_2h < 4)) "
    'and recurrence_24h == "no"'
)
RESPONDER = f"count({SUCCESS}) >= 2"
HEADER = ("participant_id", "attack", "vas_pre", "vas_2h", "recurrence_24h")


def write(folder: Path, rows, header=HEADER, people=(), name="headache_diary") -> Path:
    """A dataset with a diary; `people` are those of participants.tsv, with their age."""
    (folder / "phenotype").mkdir(parents=True, exist_ok=True)
    lines = [header, *rows]
    text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
    (folder / "phenotype" / f"{name}.tsv").write_text(text)
    table = [("participant_id", "age"), *((who, 20 + k) for k, who in enumerate(people))]
    text = "".join("\t".join(map(str, line)) + "\n" for line in table)
    (folder / "participants.tsv").write_text(text)
    return folder


def outcomes(folder: Path, people, expression=RESPONDER, rows=None, order=None, missing=()):
    """Value, or reason and detail, of each participant."""
    rule = Outcome(expression=expression, rows=rows, order=order)
    columns = Columns.read(folder, missing)
    found = find_outcomes(rule, columns, [(who, "") for who in people])
    return [
        found.reasons[place] if value is None else value for place, value in enumerate(found.values)
    ]


def attacks(who, *results):
    """Rows of a participant: W a success, L a failure, R a success that came back."""
    values = {"W": (8, 2, "no"), "L": (8, 7, "no"), "R": (8, 0, "yes"), "?": (8, "n/a", "no")}
    return [(who, k + 1, *values[result]) for k, result in enumerate(results)]


def test_responders_in_two_of_three_attacks_are_found(tmp_path):
    known = {"sub-a": ("WWL", 1), "sub-b": ("WLL", 0), "sub-c": ("RRW", 0), "sub-d": ("WWW", 1)}
    rows = [row for who, (results, _) in known.items() for row in attacks(who, *results)]
    folder = write(tmp_path, rows, people=known)
    assert outcomes(folder, known, rows=3, order="attack") == [v for _, v in known.values()]


def test_what_cannot_be_known_is_left_out_by_name(tmp_path):
    rows = [
        *attacks("sub-few", "W", "W"),
        *attacks("sub-missing", "W", "?", "W"),
        *attacks("sub-tied", "W", "L", "L")[:2], ("sub-tied", 2, 8, 0, "no"),
        *attacks("sub-text", "W", "L"), ("sub-text", 3, 8, "mild", "no"),
        *attacks("sub-many", "L", "W", "W", "W"),
        *attacks("sub-late", "W", "W", "L")[:2], ("sub-late", "n/a", 8, 0, "no"),
    ]  # fmt: skip
    rows += [row for k in range(10) for row in attacks(f"sub-x{k}", "W", "W", "L")]
    people = ["few", "missing", "tied", "text", "many", "late", "nobody"]
    folder = write(tmp_path, rows, people=[f"sub-{who}" for who in people])
    found = dict(zip(people, outcomes(
        folder, [f"sub-{who}" for who in people], rows=3, order="attack"
    ), strict=True))  # fmt: skip
    assert found == {
        "few": (aggregates.FEW, "2 of 3 rows in headache_diary"),
        "missing": (aggregates.MISSING, "line 5: vas_2h is missing"),
        "tied": (aggregates.TIED, "attack is 2 on line 8 and line 9"),
        "text": (aggregates.WRONG, "line 12: vas_2h is 'mild', not a number"),
        "many": 1,  # the first three by their number
        "late": (aggregates.MISSING, "line 19: attack is missing or no number"),
        "nobody": (aggregates.ABSENT, "no row in headache_diary"),
    }
    # Without an order nobody knows which three of four are meant, and nothing is tied.
    plain = dict(zip(people, outcomes(
        folder, [f"sub-{who}" for who in people], rows=3
    ), strict=True))  # fmt: skip
    assert plain["many"][0] == aggregates.MANY
    assert plain["tied"] == 1
    # Without a number of rows the few count too.
    assert outcomes(folder, ["sub-few", "sub-many"]) == [1, 1]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("count(pain > 3) == 2", 1),
        ("share(pain > 3) == 0.5", 1),
        ("share(pain > 3, day > 2) == 1", 0),
        ("share(pain > 3, day > 3) == 1", 1),
        ("mean(pain) == 3.75", 1),
        ("mean(pain, day <= 2) == 2.5", 1),
        ("min(pain) == 1 and max(pain) == 7", 1),
        ("max(pain - day) == 3", 1),
        ("first(pain) == 4 and last(pain) == 7", 1),
        ("first(pain, pain > 4) == 7", 1),
        ('first(drug) == "ibuprofen" and last(drug) == "none"', 1),
        ("mean(pain) - first(pain) < 0", 1),
        ("count(pain > 3) / count(known(pain)) >= 0.5", 1),
        ("count(pain > 3) >= 2 and age > 30", 0),
        ("count(pain > baseline) >= 1", 1),  # a person's own column stands in every row
        ("mean(headache_diary.pain) > 3", None),  # a table's name needs backquotes
        ("mean(`headache_diary.pain`) > 3", 1),
    ],
)
def test_each_aggregate_says_what_it_says(tmp_path, expression, value):
    header = ("participant_id", "day", "pain", "drug")
    rows = [("sub-a", 1, 4, "ibuprofen"), ("sub-a", 2, 1, "none"), ("sub-a", 3, 3, "aspirin"),
            ("sub-a", 4, 7, "none"), ("sub-b", 1, 0, "none")]  # fmt: skip
    folder = write(tmp_path, rows, header)
    (folder / "participants.tsv").write_text("participant_id\tage\tbaseline\nsub-a\t20\t6\n")
    if value is None:
        with pytest.raises(UsageError, match="Attribute is not allowed"):
            outcomes(folder, ["sub-a"], expression)
    else:
        assert outcomes(folder, ["sub-a"], expression) == [value]


def test_an_aggregate_of_no_row_has_no_value_and_a_count_of_none_is_0(tmp_path):
    rows = [("sub-a", 1, 4), ("sub-a", 2, 1)]
    folder = write(tmp_path, rows, ("participant_id", "day", "pain"), people=["sub-a"])
    for text in ("mean(pain, pain > 9) > 1", "share(pain > 3, pain > 9) > 1"):
        ((reason, _),) = outcomes(folder, ["sub-a"], text)
        assert reason == aggregates.NONE
    assert outcomes(folder, ["sub-a"], "count(pain > 9) >= 1") == [0]


def test_a_missing_value_is_passed_over_only_where_that_is_said(tmp_path):
    rows = [("sub-a", 1, 4), ("sub-a", 2, "n/a"), ("sub-a", 3, 8)]
    folder = write(tmp_path, rows, ("participant_id", "day", "pain"), people=["sub-a"])
    assert outcomes(folder, ["sub-a"], "mean(pain) > 5") == [
        (aggregates.MISSING, "line 3: pain is missing")
    ]
    assert outcomes(folder, ["sub-a"], "mean(pain, known(pain)) == 6") == [1]
    # what is not taken need not be known
    assert outcomes(folder, ["sub-a"], "mean(pain, day != 2) == 6") == [1]


def test_a_code_for_missing_is_asked_about_in_a_diary_too(tmp_path):
    rows = [(f"sub-{k}", day, k) for k in range(8) for day in (1, 2, 3)]
    rows[0] = ("sub-0", 1, 999)
    folder = write(tmp_path, rows, ("participant_id", "day", "pain"), people=["sub-0"])
    with pytest.raises(UsageError, match=r"999 .*look like missing values"):
        outcomes(folder, ["sub-0"], "count(pain > 3) >= 1")
    missing = ["pain=999"]
    assert outcomes(folder, ["sub-0"], "count(pain > 3) >= 1", missing=missing) == [
        (aggregates.MISSING, "line 2: pain is missing")
    ]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("vas_2h <= 1", "several rows a participant"),
        ("count(age > 3) >= 1", "no table with several rows a participant has age"),
        ("count(nothing > 3) >= 1", "no column 'nothing'"),
        ("count(mean(vas_2h) > 3) >= 1", r"mean\(\) stands within another aggregate"),
        ("count(vas_2h) >= 1", "a value stands where a comparison is needed"),
        ("mean(vas_2h > 1) >= 1", "a comparison stands where a value is needed"),
        ("count(vas_2h > 1, vas_pre > 1) >= 1", r"count\(\) has 2 arguments"),
        ("median(vas_2h) >= 1", r"median\(\) is no function that there is"),
        ("mean(vas_2h, key=vas_pre) >= 1", r"mean\(\) has 2 arguments"),
        ("known(age) and age > 1", r"known\(\) stands within"),
        ("count(vas_2h > 1)", "a value stands where a comparison is needed"),
        ("count(vas_2h > other_pain) >= 1", "uses columns of headache_diary and other"),
        ("count(vas_2h == 0) >= exec(vas_2h)", r"exec\(\) is no function"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_words(tmp_path, expression, words):
    folder = write(tmp_path, attacks("sub-a", "W", "L", "W"), people=["sub-a"])
    other = [("sub-a", 1, 2), ("sub-a", 2, 2)]
    write(tmp_path, other, ("participant_id", "n", "other_pain"), ["sub-a"], "other")
    with pytest.raises(UsageError, match=words):
        outcomes(folder, ["sub-a"], expression)


def test_an_order_that_is_none_is_refused_and_dates_are_one(tmp_path):
    header = ("participant_id", "when", "pain")
    rows = [("sub-a", "2024-03-05", 1), ("sub-a", "2024-02-28", 7)]
    folder = write(tmp_path, rows, header, people=["sub-a"])
    text = "first(pain) == 7"
    assert outcomes(folder, ["sub-a"], text) == [0]  # as the file has them
    assert outcomes(folder, ["sub-a"], text, order="when") == [1]
    with pytest.raises(UsageError, match=r"no column 'day'; it has when, pain"):
        outcomes(folder, ["sub-a"], text, order="day")
    folder = write(tmp_path, [("sub-a", "5.3.24", 1), ("sub-a", "28.2.24", 7)], header)
    with pytest.raises(UsageError, match=r"holds '5.3.24'; expected numbers, or dates as"):
        outcomes(folder, ["sub-a"], text, order="when")


def test_a_table_of_visits_can_be_counted_too(tmp_path):
    rows = [("sub-a", "ses-1", 4), ("sub-a", "ses-2", 8), ("sub-b", "ses-1", 0)]
    folder = write(tmp_path, rows, ("participant_id", "session_id", "pain"), people=["sub-a"])
    assert outcomes(folder, ["sub-a", "sub-b"], "max(pain) > 5") == [1, 0]


def test_a_diary_that_is_not_used_is_left_out_and_told_as_before(tmp_path):
    folder = write(tmp_path, attacks("sub-a", "W", "L", "W"), people=["sub-a"])
    columns = Columns.read(folder)
    assert columns.names() == ["age"]
    assert columns.participants() == {"sub-a"}
    (why,) = columns.left_out()
    assert "line 3 repeats line 2 (sub-a)" in why
    columns.use(["headache_diary.vas_2h"])
    assert columns.left_out() == []


WORDS = ("W", "L", "R")


@settings(deadline=None, max_examples=40)
@given(
    data=st.lists(st.lists(st.sampled_from(WORDS), min_size=3, max_size=3), min_size=1, max_size=8),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_order_of_lines_and_of_people_changes_nothing(tmp_path_factory, data, shuffle):
    known = {f"sub-{k:02d}": int(results.count("W") >= 2) for k, results in enumerate(data)}
    rows = [row for who, results in zip(known, data, strict=True) for row in attacks(who, *results)]
    shuffle.shuffle(rows)
    folder = write(tmp_path_factory.mktemp("diary"), rows, people=known)
    people = list(known)
    shuffle.shuffle(people)
    found = outcomes(folder, people, rows=3, order="attack")
    assert found == [known[who] for who in people]
    # The same by hand, from the numbers alone.
    share = outcomes(folder, people, f"share({SUCCESS}) > 0.5")
    assert np.array_equal(share, found)

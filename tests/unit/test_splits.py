import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.dataset.tables import write_table
from bidsapp.errors import BadData, UsageError
from bidsapp.recipes.learning import Inner, Protocol
from bidsapp.training.splits import make_splits
from bidsapp.training.splits_file import read_splits, splits_problems
from bidsapp.training.splits_words import held_out_words, splits_words
from tests.unit.synthetic_cohort import small_recipe


def cohort(n=40, positive=16, families=None, sessions=1):
    people = [f"sub-{i:03d}" for i in range(n)]
    table = pd.DataFrame(
        {
            "participant_id": people,
            "session_id": "ses-1",
            "outcome": [1] * positive + [0] * (n - positive),
            "group": families or people,
        }
    )
    again = [table.assign(session_id=f"ses-{s + 1}") for s in range(sessions)]
    return pd.concat(again, ignore_index=True)


@st.composite
def random_cohorts(draw):
    n = draw(st.integers(12, 60))
    families = draw(st.lists(st.integers(0, n // 2), min_size=n, max_size=n))
    outcomes = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    sessions = draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    rows = [
        (f"sub-{i}", f"ses-{s}", outcomes[i], f"fam-{families[i]}")
        for i in range(n)
        for s in range(sessions[i])
    ]
    table = pd.DataFrame(rows, columns=["participant_id", "session_id", "outcome", "group"])
    return table.sample(frac=1, random_state=draw(st.integers(0, 99)), ignore_index=True)


@st.composite
def random_protocols(draw):
    kind = draw(
        st.sampled_from(["kfold", "repeated_kfold", "leave_one_group_out", "holdout", "nested"])
    )
    values = {"kind": kind, "seed": draw(st.integers(0, 1000))}
    if kind == "leave_one_group_out" or draw(st.booleans()):
        values["groups"] = "family"
    if kind != "leave_one_group_out":
        values["stratified"] = draw(st.booleans())
    if kind in ("kfold", "repeated_kfold", "nested"):
        values["folds"] = draw(st.integers(2, 4))
    if kind in ("repeated_kfold", "holdout"):
        values["repeats"] = draw(st.integers(2, 3))
    if kind == "holdout":
        values["test_size"] = draw(st.floats(0.1, 0.5))
    if kind == "nested":
        values["inner"] = Inner(folds=draw(st.integers(2, 3)))
    elif draw(st.booleans()):
        values["inner"] = Inner(size=draw(st.floats(0.1, 0.5)))
    return Protocol(**values)


@settings(max_examples=150, deadline=None)
@given(random_cohorts(), random_protocols())
def test_nobody_and_no_group_is_on_two_sides(table, protocol):
    try:
        splits = make_splits(table, protocol)
    except UsageError:
        return  # too small for this protocol; nothing is split
    assert splits_problems(splits, table, grouped=protocol.groups is not None) == []
    once = splits.groupby(["repeat", "fold", "participant_id"]).size()
    assert (once == 1).all()
    people = set(table["participant_id"])
    for _, part in splits.groupby(["repeat", "fold"]):
        assert set(part["participant_id"]) == people
    if protocol.groups is not None:
        group = table.drop_duplicates("participant_id").set_index("participant_id")["group"]
        roles = splits.assign(group=splits["participant_id"].map(group))
        assert (roles.groupby(["repeat", "fold", "group"])["role"].nunique() == 1).all()
    if protocol.kind != "holdout":
        tested = splits[splits["role"] == "test"]
        assert (tested.groupby(["repeat", "participant_id"]).size() == 1).all()
        assert set(tested["participant_id"]) == people
    shuffled = table.sample(frac=1, random_state=5)
    pd.testing.assert_frame_equal(splits, make_splits(shuffled, protocol))


def test_seeds_give_other_splits_and_repeats_differ():
    table = cohort()
    first = make_splits(table, Protocol(folds=4, seed=1))
    assert not first.equals(make_splits(table, Protocol(folds=4, seed=2)))
    twice = make_splits(table, Protocol(kind="repeated_kfold", folds=4, repeats=2))
    a, b = (part.drop(columns="repeat") for _, part in twice.groupby("repeat"))
    assert not a.reset_index(drop=True).equals(b.reset_index(drop=True))


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 60), st.integers(8, 60), st.integers(2, 8), st.integers(0, 99))
def test_strata_and_sizes_differ_by_one_at_most(positive, negative, folds, seed):
    table = cohort(positive + negative, positive)
    splits = make_splits(table, Protocol(folds=folds, seed=seed))
    tested = splits[splits["role"] == "test"].merge(table, on="participant_id")
    by_class = tested.groupby(["fold", "outcome"]).size().unstack()
    assert (by_class.max() - by_class.min() <= 1).all()
    assert np.ptp(tested.groupby("fold").size()) <= 1


def test_the_study_has_sixteen_in_every_fold():
    splits = make_splits(cohort(128, 55), Protocol())
    assert (splits[splits["role"] == "test"].groupby("fold").size() == 16).all()


def test_sites_are_left_out_one_by_one():
    sites = [f"site-{i % 3}" for i in range(40)]
    table = cohort(40, 16, sites)
    splits = make_splits(table, Protocol(kind="leave_one_group_out", groups="site"))
    for fold, part in splits[splits["role"] == "test"].groupby("fold"):
        where = table.set_index("participant_id").loc[part["participant_id"], "group"]
        assert set(where) == {f"site-{fold}"}


def test_nested_validates_each_training_participant_once_per_outer_fold():
    splits = make_splits(cohort(), Protocol(kind="nested", folds=4, inner=Inner(folds=3)))
    assert sorted(splits["repeat"].unique()) == [0, 1, 2]
    for fold, part in splits.groupby("fold"):
        tests = part[part["role"] == "test"].groupby("repeat")["participant_id"].apply(frozenset)
        assert tests.nunique() == 1, fold
        inner = part[part["role"] == "validation"]
        assert inner["participant_id"].is_unique
        assert len(inner) == 30


def test_a_hold_out_has_the_size_asked_for():
    splits = make_splits(cohort(), Protocol(kind="holdout", test_size=0.25, inner=Inner(size=0.2)))
    assert splits["role"].value_counts().to_dict() == {"train": 24, "test": 10, "validation": 6}


@pytest.mark.parametrize(
    ("table", "protocol", "message"),
    [
        (cohort(20, 5), Protocol(folds=8), "8 folds, but only 5 participants are positive"),
        (cohort(10, 7), Protocol(folds=8), "only 3 participants are negative.*folds=3"),
        (cohort(6, 1), Protocol(folds=8), "only 1 participant is positive.*more of them"),
        (cohort(20, 0), Protocol(folds=2), "20 negative and 0 positive"),
        (
            cohort(20, 10, [f"f{i // 10}" for i in range(20)]),
            Protocol(kind="leave_one_group_out", groups="site"),
            "training part of repeat 0, fold 0 has 10 negative and 0 positive",
        ),
        (
            cohort(20, 10, ["one"] * 20),
            Protocol(kind="leave_one_group_out", groups="site"),
            "one value only",
        ),
        (
            cohort(20, 10, [f"f{i % 3}" for i in range(20)]),
            Protocol(folds=4, groups="family"),
            "only 3 groups hold a negative",
        ),
    ],
)
def test_a_cohort_too_small_is_refused(table, protocol, message):
    with pytest.raises(UsageError, match=message):
        make_splits(table, protocol)


def test_a_participant_in_two_groups_is_refused():
    table = cohort(20, 10, sessions=2)
    table.loc[25, "group"] = "other"
    with pytest.raises(BadData, match="sub-005 is in more than one group"):
        make_splits(table, Protocol(folds=2, groups="family"))


def test_an_outcome_with_text_or_a_missing_group_is_refused():
    with pytest.raises(BadData, match="sub-003"):
        make_splits(cohort().assign(outcome=["0", "1", "0", "maybe"] * 10), Protocol(folds=2))
    table = cohort()
    table.loc[7, "group"] = np.nan
    with pytest.raises(BadData, match="group of sub-007 is missing"):
        make_splits(table, Protocol(folds=2, groups="family"))


def edit(table, line, **values):
    table = table.copy()
    for column, value in values.items():
        table[column] = table[column].astype(object)
        table.loc[line - 2, column] = value
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pd.concat([t, t[t["role"] == "test"].assign(role="train")]), "and in t"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "stands twice of repeat 0, fold 0"),
        (lambda t: edit(t, 4, participant_id="sub-999"), "line 4: participant 'sub-999' is not in"),
        (lambda t: edit(t, 4, role="tset"), "line 4: role 'tset' is not one of"),
        (lambda t: edit(t, 4, fold="one"), "line 4: fold 'one' is not a number"),
        (lambda t: edit(t, 4, fold="9" * 23), "line 4: fold '9+' is not a number"),
        (lambda t: t.drop(columns="role"), "column role is missing"),
        (lambda t: t[(t["role"] != "test") | (t["fold"] > 0)], "has nobody in test"),
        (lambda t: t[(t["role"] != "train") | (t["fold"] > 0)], "has nobody in train"),
        (lambda t: t[t["participant_id"] != "sub-003"], "sub-003 of the cohort is never tested"),
        (
            lambda t: t.assign(
                role=[
                    "test" if p == "sub-003" else role
                    for p, role in zip(t["participant_id"], t["role"], strict=True)
                ]
            ),
            "sub-003 is tested in 4 folds of repeat 0; once",
        ),
        (
            lambda t: t.query("fold != 1 or role == 'test' or participant_id > 'sub-02'"),
            "repeat 0, fold 1 has one class only in train",
        ),
        (lambda t: t.iloc[:0], "the table is empty"),
    ],
)
def test_a_file_that_leaks_or_lacks_is_refused(tmp_path, change, message):
    table = cohort()
    path = tmp_path / "splits.tsv"
    good = make_splits(table, Protocol(folds=4))
    good.to_csv(path, sep="\t", index=False)
    pd.testing.assert_frame_equal(read_splits(path, table), good)
    change(good).to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match=message):
        read_splits(path, table)


@pytest.mark.parametrize("name", ['sub-a"', '"sub-a', 'sub-"a"b'])
def test_a_quote_in_a_name_is_a_letter_like_any_other(tmp_path, name):
    table = cohort().replace("sub-003", name)
    path = tmp_path / "splits.tsv"
    good = make_splits(table, Protocol(folds=4))
    write_table(path, good)
    pd.testing.assert_frame_equal(read_splits(path, table), good)
    write_table(path, edit(good, 4, role="tset"))
    with pytest.raises(BadData, match="line 4: role 'tset'"):
        read_splits(path, table)


def test_a_file_that_parts_a_family_is_refused(tmp_path):
    table = cohort(families=[f"f{i // 2}" for i in range(40)])
    path = tmp_path / "splits.tsv"
    make_splits(table, Protocol(folds=4)).to_csv(path, sep="\t", index=False)
    read_splits(path, table)
    with pytest.raises(BadData, match=r"group f\d+ is in test and in train"):
        read_splits(path, table, grouped=True)


def test_a_hold_out_file_may_leave_most_people_untested(tmp_path):
    path = tmp_path / "splits.tsv"
    good = make_splits(cohort(), Protocol(kind="holdout", test_size=0.2))
    good.to_csv(path, sep="\t", index=False)
    assert len(read_splits(path, cohort())) == 40
    good.iloc[1:].to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match="sub-000 of the cohort has no role"):
        read_splits(path, cohort())


def test_a_file_with_variants_gives_each_its_own_rows(tmp_path):
    table, path = cohort(), tmp_path / "splits.tsv"
    parts = [
        make_splits(table, Protocol(folds=folds)).assign(variant=name)
        for name, folds in (("base", 4), ("three", 3))
    ]
    both = pd.concat(parts, ignore_index=True)[["variant", *parts[0].columns[:-1]]]
    both.to_csv(path, sep="\t", index=False)
    pd.testing.assert_frame_equal(read_splits(path, table, variants=("base", "three")), both)
    assert set(read_splits(path, table, variants=("three",))["variant"]) == {"three"}
    with pytest.raises(BadData, match=r"variant four has no rows; .* has base, three"):
        read_splits(path, table, variants=("base", "four"))
    pd.concat([both, both.iloc[-1:]]).to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match=r"variant three: lines .* stands twice"):
        read_splits(path, table, variants=("base", "three"))


def test_a_message_about_splits_can_be_read_however_much_is_wrong(tmp_path):
    table, path = cohort(), tmp_path / "splits.tsv"
    sound = make_splits(table, Protocol(folds=4))
    pd.concat([sound] * 50).assign(variant="9" * 900).to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match=r"lines 2 and .* more: .* stands twice") as found:
        read_splits(path, table, variants=("9" * 900,))
    assert len(str(found.value)) < 4000


def test_splits_are_told_as_they_took_place_and_not_as_the_recipe_would_draw_them():
    table, recipe = cohort(), small_recipe(protocol={"folds": 6, "stratified": True})
    three = make_splits(table, Protocol(folds=3))
    told = splits_words(recipe, table, three)
    assert told.startswith("3-fold cross-validation with splits that were given in a file")
    assert "stratified" not in told
    assert held_out_words(three, 40) == "Every one was scored by models that had not seen them"
    once = make_splits(table, Protocol(kind="holdout", test_size=0.2))
    assert splits_words(recipe, table, once).startswith("a single hold-out split with splits that")
    assert held_out_words(once, 40).startswith("8 of the 40 were held out and scored")
    drawn = splits_words(recipe, table, make_splits(table, recipe.protocol))
    assert drawn.startswith("6-fold cross-validation, stratified by outcome (seed 0): in each fold")


@pytest.mark.parametrize("column", ["part_id", "session_id"])
def test_people_with_both_outcomes_are_divided_whole(column):
    """Of everybody one part helps and one does not: nobody is negative, and both are there."""
    rows = [(f"sub-{i:02d}", side, side == "L") for i in range(12) for side in "LR"]
    table = pd.DataFrame(rows, columns=["participant_id", column, "outcome"])
    splits = make_splits(table.astype({"outcome": int}), Protocol(folds=3))
    tested = splits[splits["role"] == "test"]
    assert sorted(tested["participant_id"]) == sorted(set(table["participant_id"]))
    assert set(tested.groupby("fold").size()) == {4}
    assert splits_problems(splits, table.astype({"outcome": int})) == []


def test_parts_of_both_outcomes_are_spread_evenly():
    """Among parts the two of people who have both, and those of people with one, are balanced."""
    rows = [
        (f"sub-{i:02d}", side, int(side == "L" if i < 8 else i % 2))
        for i in range(16)
        for side in "LR"
    ]
    table = pd.DataFrame(rows, columns=["participant_id", "part_id", "outcome"])
    splits = make_splits(table, Protocol(folds=4))
    tested = splits[splits["role"] == "test"].merge(table, on="participant_id")
    assert tested.groupby("fold")["outcome"].mean().tolist() == [0.5] * 4

"""Whole sites are held out in turn where a cohort has sites enough, and never behind one's back."""

import pandas as pd
import pytest

from bidsapp.group_sites import sites_in_turn
from bidsapp.training.run import run_splits
from tests.unit.synthetic_cohort import small_recipe


def people(sizes: dict[str, int], outcome=lambda k: k % 2) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    rows = [
        (f"sub-{site}{k:02d}", "n/a", f"sub-{site}{k:02d}", outcome(k), site)
        for site, count in sizes.items()
        for k in range(count)
    ]
    names = ["participant_id", "session_id", "group", "outcome", "hospital"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def recipe(**more):  # type: ignore[no-untyped-def]
    values = {"evaluation.site": "hospital", "protocol": {"kind": "kfold", "folds": 4}}
    return small_recipe().with_values(values).with_values(more)


def test_sites_are_held_out_in_turn_where_there_are_three_of_ten() -> None:
    table = people({"a": 12, "b": 10, "c": 11, "d": 4})
    made, sites, note = sites_in_turn(recipe(), ["base"], table)
    assert made.protocol.kind == "leave_one_group_out"
    assert made.protocol.groups == "hospital"
    assert "3 of at least 10 people in hospital: whole sites are held out in turn" in note
    assert "--set protocol.by_site=never" in note
    splits = run_splits(made, ["base"], sites, None)
    tested = splits[splits["role"] == "test"]
    assert tested.groupby("fold")["participant_id"].apply(lambda p: p.str[4].nunique()).eq(1).all()
    assert tested["fold"].nunique() == 4


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ({}, {"a": 12, "b": 10, "c": 9}),
        ({}, {"a": 12, "b": 13}),
        ({"protocol.by_site": "never"}, {"a": 12, "b": 10, "c": 11}),
        ({"evaluation.site": "clinic"}, {"a": 12, "b": 10, "c": 11}),
        ({"protocol": {"kind": "repeated_kfold", "repeats": 2}}, {"a": 12, "b": 10, "c": 11}),
        ({"protocol.groups": "hospital"}, {"a": 12, "b": 10, "c": 11}),
    ],
)
def test_otherwise_the_protocol_stays_and_nothing_is_said(values, sizes) -> None:
    table = people(sizes)
    one = recipe(**values)
    assert sites_in_turn(one, ["base"], table) == (one, table, "")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.assign(hospital=t["hospital"].where(t.index != 3)), "1 people have no site"),
        (lambda t: t.assign(outcome=(t["hospital"] == "a").astype(int)), "no site has people of"),
    ],
)
def test_where_sites_cannot_be_held_out_it_is_said_and_folds_stay(change, why) -> None:
    table = change(people({"a": 12, "b": 10, "c": 11}))
    made, sites, note = sites_in_turn(recipe(), ["base"], table)
    assert made.protocol.kind == "kfold"
    assert sites is table
    assert why in note


def test_a_harmonisation_that_knows_no_new_site_keeps_folds_over_all_people() -> None:
    table = people({"a": 12, "b": 10, "c": 11})
    fitted = {"representation.fitted": {"combat": {"site": "hospital"}}}
    made, _, note = sites_in_turn(recipe(**fitted), ["base"], table)
    assert made.protocol.kind == "kfold"
    assert "unseen: pooled" in note
    pooled = {"representation.fitted": {"combat": {"site": "hospital", "unseen": "pooled"}}}
    assert sites_in_turn(recipe(**pooled), ["base"], table)[0].protocol.kind != "kfold"

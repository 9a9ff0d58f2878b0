"""Permuted outcomes: who may change place with whom; which variants share a run."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import NociCastError, UsageError
from bidsapp.recipes import load_recipe
from bidsapp.training.permute_outcomes import labels_of, shuffled_outcomes
from bidsapp.training.run import run_splits
from bidsapp.training.variants import check_variants, sharing_variants


def cohort_of(sessions, outcomes, groups=None):
    """One row per scan; `outcomes` per person."""
    rows = [
        (f"sub-{i:02d}", f"ses-{s}", outcome, "n/a" if groups is None else groups[i])
        for i, (n, outcome) in enumerate(zip(sessions, outcomes, strict=True))
        for s in range(n)
    ]
    names = ["participant_id", "session_id", "outcome", "group"]
    return pd.DataFrame(rows, columns=names).sample(frac=1, random_state=1)


def per_person(cohort, outcome):
    found = cohort.assign(outcome=outcome).groupby("participant_id")["outcome"]
    assert (found.nunique() == 1).all()  # a person's scans kept one outcome
    return found.first()


people = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=20
)


@settings(deadline=None)
@given(people, st.integers(0, 2**31))
def test_people_change_place_whole_and_with_people_of_as_many_scans(drawn, seed):
    sessions, outcomes, _ = zip(*drawn, strict=True)
    cohort = cohort_of(sessions, outcomes)
    shuffled = shuffled_outcomes(cohort, False, np.random.default_rng(seed))
    found = per_person(cohort, shuffled).to_numpy()
    before = np.array(outcomes)
    for n in set(sessions):
        alike = np.array(sessions) == n
        assert found[alike].sum() == before[alike].sum()


@settings(deadline=None)
@given(people, st.integers(0, 2**31))
def test_groups_of_different_make_up_keep_their_number_of_positives(drawn, seed):
    sessions, outcomes, groups = zip(*drawn, strict=True)
    cohort = cohort_of(sessions, outcomes, groups)
    shuffled = shuffled_outcomes(cohort, True, np.random.default_rng(seed))
    found = pd.Series(per_person(cohort, shuffled).to_numpy())
    group = pd.Series(groups)
    makeup = {
        g: tuple(sorted(n for n, h in zip(sessions, groups, strict=True) if h == g)) for g in group
    }
    before = pd.Series(outcomes).groupby(group).sum()
    after = found.groupby(group).sum()
    for kind in set(makeup.values()):
        same = [g for g in before.index if makeup[g] == kind]
        assert sorted(after[same]) == sorted(before[same])


def test_every_arrangement_is_as_likely_as_any_other():
    cohort = cohort_of([1] * 4, [1, 1, 0, 0])
    rng = np.random.default_rng(0)
    drawn = [tuple(per_person(cohort, shuffled_outcomes(cohort, False, rng))) for _ in range(3000)]
    counts = pd.Series(drawn).value_counts()
    assert len(counts) == 6
    assert ((counts - 500) ** 2 / 500).sum() < 20.5  # chi-square, 5 degrees of freedom, p .001


def test_whole_families_change_place_and_so_do_their_members():
    cohort = cohort_of([1] * 6, [1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"])
    rng = np.random.default_rng(0)
    drawn = {tuple(per_person(cohort, shuffled_outcomes(cohort, True, rng))) for _ in range(400)}
    # which family is the mixed one, which the positive one; and which member of the mixed one
    assert len(drawn) == 12
    assert (0, 0, 1, 1, 0, 1) in drawn
    assert (1, 0, 1, 0, 1, 0) not in drawn


def test_nobody_leaves_a_stratum():
    cohort = cohort_of([1] * 8, [1, 1, 1, 0, 1, 0, 0, 0])
    stratum = cohort["participant_id"].map(lambda who: who < "sub-04")
    for seed in range(20):
        found = per_person(
            cohort, shuffled_outcomes(cohort, False, np.random.default_rng(seed), stratum)
        )
        assert found.iloc[:4].sum() == 3


@settings(deadline=None)
@given(people, st.integers(0, 2**31))
def test_outcomes_permuted_within_a_site_leave_each_site_its_positives(drawn, seed):
    sessions, outcomes, places = zip(*drawn, strict=True)
    cohort = cohort_of(sessions, outcomes)
    site = {f"sub-{i:02d}": f"S{place % 2}" for i, place in enumerate(places)}
    cohort = cohort.assign(site=cohort["participant_id"].map(site))
    if len(drawn) < 5:
        return  # so few that two sites are many
    labels = labels_of(cohort, ("site",))
    found = shuffled_outcomes(cohort, False, np.random.default_rng(seed), labels)
    changed = per_person(cohort, found)
    before = per_person(cohort, cohort["outcome"].to_numpy())
    where = changed.index.map(site)
    assert changed.groupby(where).sum().equals(before.groupby(where).sum())


def test_columns_within_which_outcomes_are_permuted_are_there_and_of_few_values():
    cohort = cohort_of([1] * 8, [0, 1] * 4)
    cohort = cohort.assign(site=["A", "B"] * 4, sex=["F"] * 4 + ["M"] * 4, age=range(8))
    assert labels_of(cohort, ()) is None
    assert set(labels_of(cohort, ("site", "sex"))) == {"A, F", "B, F", "A, M", "B, M"}
    with pytest.raises(UsageError, match=r"permute_within: no column 'centre'.*site, sex, age"):
        labels_of(cohort, ("centre",))
    with pytest.raises(UsageError, match="8 values among 8 people"):
        labels_of(cohort, ("age",))


def test_all_variants_of_attias2025_run_but_those_of_another_resolution():
    recipe = load_recipe("attias2025")
    variants, ensembles = recipe.selected(["all"])
    together, whole, apart = sharing_variants(recipe, variants, ensembles)
    assert set(variants) - set(together) == {"axial_1mm", "stratified_1mm"}
    assert whole == ensembles
    (sentence,) = apart
    for part in (
        "axial_1mm, stratified_1mm",
        "participant --variants axial_1mm for its images",
        "group --variants axial_1mm stratified_1mm --run-label attias2025-axial_1mm",
    ):
        assert part in sentence


def test_an_ensemble_of_a_variant_that_stays_away_stays_away():
    changes = ["ensembles.two={of: [axial, axial_1mm], rule: mean}"]
    recipe = load_recipe("attias2025", changes)
    variants, ensembles = recipe.selected(["all"])
    _, whole, _ = sharing_variants(recipe, variants, ensembles)
    assert set(ensembles) - set(whole) == {"two"}


def test_variants_bound_by_other_groups_are_no_run_of_one_cohort():
    """One cohort table holds one group column: a family would be divided in the other variant."""
    changes = ["variants.family={protocol.groups: family}"]
    recipe = load_recipe("attias2025", changes)
    for pair in (("axial", "family"), ("family", "axial")):
        with pytest.raises(UsageError, match=r"differ in protocol\.groups.*--variants"):
            check_variants(recipe, pair)
    check_variants(recipe, ("axial", "coronal"))
    together, _, (sentence,) = sharing_variants(recipe, ("axial", "coronal", "family"), ())
    assert together == ("axial", "coronal")
    assert "protocol.groups other than that of axial" in sentence


def test_a_splits_file_is_checked_by_the_groups_of_the_variant_that_runs(tmp_path):
    recipe = load_recipe("attias2025", ["variants.family={protocol.groups: family}"])
    cohort = cohort_of([1] * 4, [1, 0, 1, 0], ["a", "a", "b", "b"])
    rows = [
        (fold, who, "test" if place % 2 == fold else "train")
        for fold in (0, 1)
        for place, who in enumerate(cohort["participant_id"])
    ]
    table = pd.DataFrame(rows, columns=["fold", "participant_id", "role"]).assign(repeat=0)
    table.to_csv(tmp_path / "own.tsv", sep="\t", index=False)
    with pytest.raises(NociCastError, match="group"):
        run_splits(recipe, ("family",), cohort, tmp_path / "own.tsv")
    assert len(run_splits(recipe, ("axial",), cohort, tmp_path / "own.tsv")) == len(rows)

"""The test of positives against negatives as a run writes it, and its peaks."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bidsapp.contracts.fitted import FittedStep
from bidsapp.errors import UsageError
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.atlas import Atlas
from bidsapp.saliency.covariates import check_covariates
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.group_test import (
    HOLD_OUT,
    WHOLE_PIPELINE,
    VoxelNull,
    compare_groups,
    false_discovery_rates,
    largest_statistics,
)
from bidsapp.saliency.peaks import find_peaks, peak_table
from bidsapp.saliency.people import PeopleMaps, people_maps
from bidsapp.saliency.stack import MapStack

from .fitted_steps import leaks
from .saliency_stacks import SHAPE, axial, brain, make_stack, planted, rows_of, write_mask


def people(stack: MapStack, fwhm: float = 0) -> PeopleMaps:
    return people_maps(stack, axial().cut(brain()), fwhm_mm=fwhm)


def balanced(n: int = 40, folds: int = 4) -> pd.DataFrame:
    """Every fold with as many positives as negatives."""
    rows = rows_of(n=n, folds=folds)
    rows["fold"] = (np.arange(n) // 2) % folds
    return rows


def age(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "participant_id": rows["participant_id"],
            "session_id": "n/a",
            "age": [f"{value:.1f}" for value in rng.normal(50, 10, len(rows))],
            "sex": rng.choice(["F", "M"], len(rows)),
            "site": "one",
        }
    )


def test_a_planted_difference_is_found_in_its_place() -> None:
    rows = balanced()
    test, why = compare_groups(
        people(make_stack(rows, effect=2.5)),
        age(rows),
        independent=True,
        permutations=200,
        tfce=False,
    )
    assert why == []
    assert test is not None
    region = axial().cut(planted())[axial().cut(brain())]
    assert (test.p_fwe[region] <= 0.05).mean() > 0.8
    assert (test.t[region] > 0).all()
    assert (test.p_fwe[~region] <= 0.05).mean() < 0.01
    assert test.covariates == ("age", "sex")
    assert test.within_folds
    assert (test.positives, test.negatives) == (20, 20)


def test_no_difference_is_not_found() -> None:
    smallest = [
        test.p_fwe.min()
        for seed in range(20)
        for test in [
            compare_groups(
                people(make_stack(balanced(24), effect=0, seed=seed), 6),
                independent=True,
                permutations=99,
                tfce=False,
            )[0]
        ]
        if test is not None
    ]
    assert len(smallest) == 20
    # one in twenty by chance; five of twenty would happen once in 400 times
    assert sum(p <= 0.05 for p in smallest) < 5
    assert stats.kstest(smallest, "uniform").pvalue > 0.001


def test_a_person_with_two_sessions_enters_once() -> None:
    rows = balanced(20)
    rows = pd.concat([rows.assign(session_id="ses-1"), rows.iloc[:2].assign(session_id="ses-2")])
    test, _ = compare_groups(people(make_stack(rows.reset_index(drop=True))), permutations=5)
    assert test is not None
    assert test.positives + test.negatives == 20


def test_people_of_both_outcomes_are_not_tested_against_themselves() -> None:
    rows = balanced()
    other = rows.assign(session_id="ses-2", outcome=1 - rows["outcome"])
    table = pd.concat([rows.assign(session_id="ses-1"), other], ignore_index=True)
    test, why = compare_groups(people(make_stack(table)), permutations=5)
    assert test is None
    assert "40 people are positive in one session and negative in another (sub-00" in why[0]
    knees = table.assign(part_id=np.repeat(["L", "R"], len(rows)), session_id="")
    test, why = compare_groups(people(make_stack(knees)), permutations=5)
    assert test is None
    assert "40 people are positive in one scan and negative in another (sub-00" in why[0]
    assert (
        "a run where one scan of each has an outcome (leave the cells of the others empty)"
        in why[0]
    )


def test_too_few_people_or_one_class_is_said_and_not_tested() -> None:
    rows = rows_of(n=6, folds=2)
    rows["outcome"] = [1, 1, 1, 1, 0, 0]
    test, why = compare_groups(people(make_stack(rows)))
    assert test is None
    assert "4 positives and 2 negatives" in why[0]
    rows["outcome"] = 1
    assert compare_groups(people(make_stack(rows)))[0] is None


def test_covariates_that_cannot_be_used_are_named() -> None:
    rows = balanced()
    table = age(rows)
    table["empty"] = "n/a"
    table.loc[3, "age"] = "n/a"
    test, _ = compare_groups(
        people(make_stack(rows)), table, ["age", "sex", "site", "empty"], permutations=5
    )
    assert test is not None
    assert test.covariates == ("age", "sex")
    notes = " ".join(test.notes)
    assert "site has one value" in notes
    assert "empty is missing for 40" in notes
    assert "1 people lack a covariate" in notes
    assert test.positives + test.negatives == 39


def test_what_is_predicted_is_not_adjusted_for_unless_asked() -> None:
    rows = balanced()
    table = age(rows)
    table["age"] = 30 + 40 * rows["outcome"] + np.arange(len(rows)) % 7
    test, _ = compare_groups(people(make_stack(rows)), table, permutations=5)
    assert test is not None
    assert test.covariates == ("sex",)
    assert any("not adjusted for age" in note for note in test.notes)
    asked, _ = compare_groups(people(make_stack(rows)), table, ["age"], permutations=5)
    assert asked is not None
    assert asked.covariates == ("age",)
    assert any("beyond them" in note for note in asked.notes)


def test_a_covariate_that_is_not_there_is_refused() -> None:
    rows = balanced()
    with pytest.raises(UsageError, match=r"saliency\.covariates: the cohort has no column weight"):
        compare_groups(people(make_stack(rows)), age(rows), ["weight"])


def test_what_cannot_be_adjusted_for_is_named() -> None:
    rows = balanced()
    table = age(rows)
    for name in ("participant_id", "outcome"):
        with pytest.raises(UsageError, match=f"{name} cannot be adjusted for"):
            check_covariates(table.assign(outcome=rows["outcome"]), ["age", name])


def test_an_age_capped_for_privacy_is_adjusted_for_as_its_limit() -> None:
    rows = balanced()
    maps = people(make_stack(rows))
    capped, plain = (age(rows) for _ in range(2))
    capped.loc[3, "age"], plain.loc[3, "age"] = "89+", "89"
    found, expected = (compare_groups(maps, table, permutations=5)[0] for table in (capped, plain))
    assert found is not None
    assert expected is not None
    assert found.covariates == ("age", "sex")
    np.testing.assert_array_equal(found.t, expected.t)


def test_an_age_that_cannot_be_read_is_not_used_and_that_is_said() -> None:
    rows = balanced()
    table = age(rows)
    table.loc[::4, "age"] = [f"about {k}" for k in range(10)]
    test, _ = compare_groups(people(make_stack(rows)), table, permutations=5)
    assert test is not None
    assert test.covariates == ("sex",)
    assert any(note.startswith("covariate age: 10 of its 40 values") for note in test.notes)


def test_the_users_group_is_adjusted_for_and_not_that_of_the_splits() -> None:
    rows = balanced()
    maps = people(make_stack(rows))
    table = age(rows).assign(group=rows["participant_id"])
    theirs = table.assign(**{"dataset.group": table["sex"]})
    found, _ = compare_groups(maps, theirs, ["group"], permutations=5)
    expected, _ = compare_groups(maps, table, ["sex"], permutations=5)
    assert found is not None
    assert expected is not None
    assert found.covariates == ("group",)
    np.testing.assert_array_equal(found.t, expected.t)


def test_an_infinite_covariate_counts_as_missing() -> None:
    """As it does for every model of the evaluation."""
    rows = balanced()
    maps = people(make_stack(rows))
    endless, missing = (age(rows) for _ in range(2))
    endless.loc[3, "age"], missing.loc[3, "age"] = "inf", "n/a"
    tests = [compare_groups(maps, table, ["age"])[0] for table in (endless, missing)]
    assert np.isfinite(tests[0].t).all()
    assert np.array_equal(tests[0].t, tests[1].t)


def test_peaks_are_local_and_apart() -> None:
    one = people(make_stack(rows_of(accuracy=1.0), effect=0), 4)
    block = np.zeros(SHAPE, np.float32)
    block[8, 14, 12], block[9, 14, 12] = 5, 4.9
    block[15, 14, 12], block[8, 20, 12] = -3, 2
    values = axial().cut(block)[one.inside]
    places = find_peaks(one, values)
    np.testing.assert_allclose(values[places], [5, -3, 2])
    toy = Atlas(
        "toy",
        planted().astype(np.int32),
        pd.DataFrame({"index": [1], "name": ["planted"], "also": [""]}),
    )
    table = peak_table(one, "x", values, [toy], beside={"double": 2 * values})
    assert table.loc[0, ["x", "y", "z"]].tolist() == [-8, 0, 0]
    assert table["region_toy"].tolist() == ["planted", "n/a", "near planted (6 mm)"]
    assert table["double"].tolist() == [10, -6, 4]
    assert find_peaks(one, np.zeros_like(values)).size == 0


def written(folder: Path, rows: pd.DataFrame, **more: object) -> dict:
    """Summary of the group's maps of a planted difference."""
    write_group(
        make_stack(rows, effect=2.5),
        folder / "axial",
        template_label="MNI152NLin2009aSym",
        mask=write_mask(folder / "mask.nii.gz"),
        settings=Saliency(permutations=100, smoothing_fwhm_mm=3),
        covariates=age(rows),
        **more,
    )
    return json.loads((folder / "axial" / "summary.json").read_text())


def peaks_of(folder: Path, summary: dict) -> pd.DataFrame:
    table = pd.read_csv(folder / "axial" / summary["tables"]["peaks"], sep="\t")
    return table[table["map"] == "positives - negatives"].reset_index(drop=True)


def test_a_comparison_of_cross_validated_maps_has_no_p_anywhere(tmp_path: Path) -> None:
    summary = written(tmp_path, balanced())
    t = nib.Nifti1Image.load(tmp_path / "axial" / summary["maps"]["t"]).get_fdata()
    assert t[planted()].mean() > 3
    assert summary["test"]["p_from"] == ""
    assert summary["test"]["covariates"] == ["age", "sex"]
    assert not [
        key for key in (*summary["test"], *summary["maps"]) if "fwe" in key or "tfce" in key
    ]
    assert not [*(tmp_path / "axial").glob("*logp*")]
    found = peaks_of(tmp_path, summary)
    assert len(found)
    assert not {"p_fwe", "p_tfce"} & set(found)
    assert any("descriptive" in note and "--permutations" in note for note in summary["notes"])


def splits_for(rows: pd.DataFrame, trained_on: Sequence[str] | None = None) -> pd.DataFrame:
    """Splits that test each fold's people on networks of others, or of those of other folds."""
    table = []
    for (repeat, fold), tested in rows.groupby(["repeat", "fold"]):
        people = list(tested["participant_id"])
        others = trained_on or [f"sub-other{fold}{n}" for n in range(5)]
        table += [(who, repeat, fold, "test") for who in people]
        table += [(who, repeat, fold, "train") for who in others if who not in people]
    return pd.DataFrame(table, columns=["participant_id", "repeat", "fold", "role"])


@pytest.mark.parametrize("folds", [1, 2])
def test_people_whom_no_network_was_trained_on_are_tested_with_networks_fixed(
    tmp_path: Path, folds: int
) -> None:
    rows = balanced(folds=folds)
    summary = written(tmp_path, rows, splits=splits_for(rows))
    assert summary["test"]["p_from"] == HOLD_OUT


@pytest.mark.parametrize("folds", [1, 2])
def test_who_was_trained_on_elsewhere_is_read_from_the_splits(tmp_path: Path, folds: int) -> None:
    """As where maps of one fold alone are there, or hold-outs were repeated."""
    rows = balanced(folds=folds)
    everybody = [*rows["participant_id"]]
    one = splits_for(rows)
    again = splits_for(rows.assign(repeat=1).iloc[:6], everybody)
    summary = written(tmp_path, rows, splits=pd.concat([one, again]))
    assert summary["test"]["p_from"] == ""
    assert "log10p_fwe" not in summary["maps"]


def test_a_hold_out_is_tested_with_its_network_fixed(tmp_path: Path) -> None:
    rows = balanced(folds=1)
    summary = written(tmp_path, rows, splits=splits_for(rows))
    p = nib.Nifti1Image.load(tmp_path / "axial" / summary["maps"]["log10p_fwe"]).get_fdata()
    assert p[planted()].max() == pytest.approx(np.log10(101), rel=1e-4)
    assert summary["test"]["p_from"] == HOLD_OUT
    assert summary["test"]["smallest_p_fwe"] == pytest.approx(1 / 101, rel=1e-4)
    assert "log10p_tfce" in summary["maps"]
    regions = pd.read_csv(tmp_path / "axial" / summary["tables"]["regions"], sep="\t")
    assert {"desikan_killiany", "pain_spheres", "tissue"} == set(regions["atlas"])
    first = peaks_of(tmp_path, summary).iloc[0]
    origin = np.array([-24, -28, -24])
    index = np.rint((first[["x", "y", "z"]].to_numpy(float) - origin) / 2).astype(int)
    assert planted()[tuple(index)]
    assert first["p_fwe"] <= 0.05


def test_permuted_pipelines_give_a_p(tmp_path: Path) -> None:
    null = VoxelNull(np.linspace(2, 5, 39), np.linspace(10, 500, 39))
    summary = written(tmp_path, balanced(), null=null)
    assert summary["test"]["p_from"] == WHOLE_PIPELINE
    assert summary["test"]["permutations"] == 39
    t = nib.Nifti1Image.load(tmp_path / "axial" / summary["maps"]["t"]).get_fdata()
    p = nib.Nifti1Image.load(tmp_path / "axial" / summary["maps"]["log10p_fwe"]).get_fdata()
    place = np.unravel_index(np.abs(t).argmax(), t.shape)
    expected = (1 + (null.t >= np.abs(t[place])).sum()) / 40
    assert 10 ** -p[place] == pytest.approx(expected, rel=1e-4)
    assert "log10p_tfce" in summary["maps"]


@pytest.mark.parametrize("leak", [(), leaks("representation.zscore: dataset")])
def test_few_pipelines_and_networks_that_saw_everybody_give_no_p(
    tmp_path: Path, leak: tuple[FittedStep, ...]
) -> None:
    count = 39 if leak else 18
    null = VoxelNull(np.linspace(2, 5, count), np.linspace(10, 500, count))
    rows = balanced(folds=1 if leak else 4)
    splits = splits_for(rows, None if leak else [*rows["participant_id"]])
    summary = written(tmp_path, rows, splits=splits, null=null, leaks=leak)
    assert summary["test"]["p_from"] == ""
    assert "log10p_fwe" not in summary["maps"]


def test_the_largest_of_a_permutation_is_that_of_its_map() -> None:
    rows = balanced()
    maps = people(make_stack(rows))
    test, _ = compare_groups(maps, age(rows), permutations=5)
    assert test is not None
    t, tfce = largest_statistics(maps, age(rows), None, tfce=True)
    assert t == pytest.approx(np.abs(test.t).max())
    independent, _ = compare_groups(maps, age(rows), independent=True, permutations=5)
    assert independent is not None
    assert tfce == pytest.approx(np.abs(independent.tfce).max())
    rows["outcome"] = 1
    assert largest_statistics(people(make_stack(rows)), None, None, True) == (0, 0)


def test_no_permutations_make_no_test(tmp_path: Path) -> None:
    write_group(
        make_stack(),
        tmp_path / "axial",
        template_label="MNI152NLin2009aSym",
        mask=write_mask(tmp_path / "mask.nii.gz"),
        settings=Saliency(permutations=0),
    )
    summary = json.loads((tmp_path / "axial" / "summary.json").read_text())
    assert summary["test"] is None
    assert "t" not in summary["maps"]
    assert any("no permutations were asked for" in note for note in summary["notes"])


def test_false_discovery_rates_are_those_of_benjamini_and_hochberg() -> None:
    from statsmodels.stats.multitest import multipletests

    t = np.concatenate([np.random.default_rng(0).standard_t(20, 200), [5, -6, 4.5]])
    wanted = multipletests(2 * stats.t.sf(np.abs(t), 20), method="fdr_bh")[1]
    np.testing.assert_allclose(false_discovery_rates(t, 20), wanted, rtol=1e-5)


def test_false_discovery_rates_stand_beside_a_valid_p_alone() -> None:
    stack = make_stack(balanced(), effect=2)
    held_out, _ = compare_groups(people(stack), independent=True, permutations=19, fdr=True)
    crossed, _ = compare_groups(people(stack), permutations=19, fdr=True)
    plain, _ = compare_groups(people(stack), independent=True, permutations=19)
    assert held_out is not None
    assert crossed is not None
    assert plain is not None
    assert held_out.q is not None
    assert crossed.q is None
    assert plain.q is None
    assert held_out.q.min() < 0.05

"""The verdict on maps: right for maps that were learned, for such that were not, and for none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.recipes import load_recipe
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.representation.window import volume
from bidsapp.saliency.checks import FoldChecks, checked_rows
from bidsapp.saliency.perturbation import SHARES, gaps, perturbation_curves
from bidsapp.saliency.sanity import Evidence, judge
from bidsapp.saliency.similarity import edges, rank_correlation, structural_similarity
from bidsapp.saliency.smoothing import MaskedSmoother
from bidsapp.training.task import FoldTask

SHAPE = (18, 20, 16)
LEVELS = ("fc", "layer4", "conv1")


def planted(rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Smooth noise with a cuboid."""
    whole = np.ones(SHAPE, bool)
    noise = MaskedSmoother(whole, (2, 2, 2), 6.0)(rng.standard_normal(whole.size)).reshape(SHAPE)
    noise[4:9, 5:10, 6:11] += strength
    return noise.astype(np.float32)


def fold_of(rng: np.random.Generator, own: np.ndarray, last: np.ndarray) -> FoldChecks:
    """A fold of three people whose map is `own`, and `last` when all weights are drawn anew."""
    drawn = np.stack([0.5 * own, planted(rng, 0), last])
    better = np.abs(rng.standard_normal((3, 2)))
    return FoldChecks(3, own, LEVELS, drawn, better, np.zeros((3, 3, 2, len(SHARES))))


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Of four folds that found the same cuboid."""
    rng = np.random.default_rng(0)
    folds = [fold_of(rng, planted(rng), planted(rng, 0)) for _ in range(4)]
    images = rng.random((12, 1, *SHAPE)).astype(np.float16)
    np.save(tmp_path / "cohort.npy", images)
    names = tuple(f"sub-{i}" for i in range(12))
    window = volume(SHAPE, np.diag([2.0, 2, 2, 1]))
    array = CohortArray(tmp_path / "cohort.npy", names, ("",) * 12, ("t1w",), window, "key")
    outcome = np.arange(12) % 2
    scores = pd.DataFrame(
        {"participant_id": names, "outcome": outcome, "probability": 0.2 + 0.5 * outcome}
    )
    inside = np.zeros(SHAPE, bool)
    inside[2:16, 2:18, 2:14] = True
    shuffled = {0: planted(rng, 0)}
    return Evidence(folds, shuffled, scores, array, outcome, inside, 4.0, (2.0, 2.0, 2.0))


def result(evidence: Evidence, check: str) -> set[str]:
    return {row["result"] for row in judge(evidence).rows if row["check"] == check} - {"info"}


def test_maps_that_were_learned_pass_every_check(evidence, tmp_path):
    found = judge(evidence)
    assert found.verdict == "pass", found.sentences
    checks = {row["check"] for row in found.rows if row["result"] == "pass"}
    assert checks == {
        "forecast", "weights", "labels", "folds", "edges", "deletion", "insertion"
    }  # fmt: skip
    found.write(tmp_path / "sanity.tsv")
    table = pd.read_csv(tmp_path / "sanity.tsv", sep="\t")
    assert {"check", "of", "value", "limit", "result", "meaning"} <= set(table)
    assert len(table) == len(found.rows)


def test_a_network_that_forecasts_nothing_has_no_map_worth_the_name(evidence):
    scores = evidence.scores.assign(probability=np.tile([0.3, 0.3, 0.6, 0.6], 3))
    found = judge(replace(evidence, scores=scores))
    assert found.verdict == "fail"
    assert any("does not tell held-out people apart" in text for text in found.sentences)


def test_people_whose_outcome_changes_between_scans_are_seen_as_either(evidence):
    again = evidence.scores.assign(
        outcome=1 - evidence.scores["outcome"], probability=0.9 - evidence.scores["probability"]
    )
    both = replace(evidence, scores=pd.concat([evidence.scores, again, again]))
    found = judge(both)
    (row,) = (row for row in found.rows if row["check"] == "forecast")
    assert row["n"] == 24
    assert any("told apart (AUC 1.00" in text for text in found.sentences)


def test_a_map_that_needs_no_trained_weights_fails(evidence):
    rng = np.random.default_rng(1)
    folds = [fold_of(rng, fold.trained, 2 * fold.trained) for fold in evidence.folds]
    assert result(replace(evidence, folds=folds), "weights") == {"fail"}
    upside_down = [fold_of(rng, fold.trained, -fold.trained) for fold in evidence.folds]
    assert result(replace(evidence, folds=upside_down), "weights") == {"fail"}


def test_a_map_that_shuffled_outcomes_give_too_fails(evidence):
    same = {0: evidence.folds[0].trained * 1.5}
    assert result(replace(evidence, shuffled=same), "labels") == {"fail"}
    assert result(replace(evidence, shuffled={}), "labels") == {"not run"}


def test_folds_that_agree_on_nothing_fail(evidence):
    rng = np.random.default_rng(2)
    folds = [fold_of(rng, planted(rng, 0), planted(rng, 0)) for _ in range(4)]
    assert result(replace(evidence, folds=folds), "folds") == {"fail"}


def test_a_map_of_edges_fails(evidence):
    image = np.zeros(SHAPE, np.float16)
    image[5:12, 5:12, 5:12] = 1
    np.save(evidence.images.path, np.tile(image, (12, 1, 1, 1, 1)))
    border = edges(np.asarray(image, np.float32), evidence.zooms)
    rng = np.random.default_rng(3)
    folds = [fold_of(rng, border, planted(rng, 0)) for _ in range(4)]
    assert result(replace(evidence, folds=folds), "edges") == {"fail"}


def test_voxels_that_matter_less_than_random_ones_fail(evidence):
    folds = [replace(fold, gaps=-fold.gaps) for fold in evidence.folds]
    assert result(replace(evidence, folds=folds), "deletion") == {"fail"}
    assert result(replace(evidence, folds=folds), "insertion") == {"fail"}


def told_of(evidence: Evidence, check: str) -> str:
    return " ".join(row["meaning"] for row in judge(evidence).rows if row["check"] == check)


def test_a_map_of_opposite_signs_is_called_that(evidence):
    rng = np.random.default_rng(1)
    upside_down = [fold_of(rng, fold.trained, -fold.trained) for fold in evidence.folds]
    told = told_of(replace(evidence, folds=upside_down), "weights")
    assert "gives this map with the opposite signs (Spearman -1.00" in told
    assert "nearly the same" not in told


def test_a_network_that_explains_nothing_is_not_alike(evidence):
    rng = np.random.default_rng(1)
    nothing = np.zeros(SHAPE, np.float32)
    folds = [fold_of(rng, fold.trained, nothing) for fold in evidence.folds]
    given = replace(evidence, folds=folds, shuffled={0: nothing})
    for check in ("weights", "labels"):
        assert result(given, check) == {"pass"}
        assert "has the same value everywhere, so this one is not like it" in told_of(given, check)


def test_a_map_of_one_value_fails_for_that_reason(evidence):
    rng = np.random.default_rng(1)
    same = np.ones(SHAPE, np.float32)
    folds = [fold_of(rng, same, planted(rng, 0)) for _ in range(4)]
    given = replace(evidence, folds=folds, fwhm_mm=0)
    assert result(given, "weights") == {"fail"}
    assert "the map has the same value everywhere" in told_of(given, "weights")
    assert "nan" not in " ".join(judge(given).sentences)


@pytest.mark.parametrize("mean", [0.01, -0.01])
def test_an_interval_that_holds_nought_is_unclear_on_either_side(evidence, mean):
    spread = np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]]) + mean
    folds = [replace(fold, gaps=spread) for fold in evidence.folds]
    assert result(replace(evidence, folds=folds), "deletion") == {"unclear"}
    told = told_of(replace(evidence, folds=folds), "insertion")
    assert f"by 0.01 {'more' if mean > 0 else 'less'} " in told


def nobody(fold: FoldChecks) -> FoldChecks:
    empty = np.zeros((0, *SHAPE), np.float32)
    return FoldChecks(0, np.zeros(SHAPE, np.float32), (), empty, fold.gaps[:0], fold.curves[:0])


def test_a_fold_without_positives_is_left_out_and_none_at_all_is_said(evidence):
    folds = [nobody(evidence.folds[0]), *evidence.folds[1:]]
    assert judge(replace(evidence, folds=folds, shuffled={})).verdict == "pass"
    found = judge(replace(evidence, folds=[nobody(fold) for fold in evidence.folds]))
    assert found.rows[-1]["result"] == "not run"
    assert "no held-out positive" in found.sentences[-1]


def test_a_mask_without_voxels_and_a_single_person_do_no_harm(evidence):
    found = judge(replace(evidence, inside=np.zeros(SHAPE, bool)))
    assert "mask has no voxel in the window" in found.sentences[-1]
    one = evidence.scores.iloc[1:2]
    rng = np.random.default_rng(0)
    fold = replace(fold_of(rng, planted(rng), planted(rng, 0)), people=1)
    fold = replace(fold, gaps=fold.gaps[:1], curves=fold.curves[:1])
    found = judge(replace(evidence, scores=one, folds=[fold], shuffled={}))
    assert {row["check"] for row in found.rows if row["result"] == "not run"} == {
        "forecast", "labels", "folds", "deletion", "insertion"
    }  # fmt: skip


def test_a_map_of_nothing_fails(evidence):
    folds = [replace(fold, trained=np.zeros(SHAPE, np.float32)) for fold in evidence.folds]
    found = judge(replace(evidence, folds=folds))
    assert found.verdict == "fail"
    assert "0 everywhere" in found.sentences[-1]


def test_deletion_takes_the_strongest_first_and_insertion_gives_them():
    rng = np.random.default_rng(0)
    image, fill = rng.random((1, 6, 6, 6)), np.zeros((1, 6, 6, 6))
    inside = np.ones((6, 6, 6), bool)
    inside[0] = False
    weights = rng.random((6, 6, 6))

    def ask(images):
        return (images[:, 0] * weights).sum(axis=(1, 2, 3))

    own = (weights * image[0])[inside]
    curves = perturbation_curves(ask, image, fill, inside, [own, -own, rng.random(own.size)])
    best = np.sort(own)[::-1]
    whole = float((weights * image[0]).sum())
    for k, share in enumerate(SHARES):
        first = best[: round(share * own.size)].sum()
        assert curves[0, 0, k] == pytest.approx(whole - first)
        assert curves[0, 1, k] == pytest.approx(first)
    deletion, insertion = gaps(curves)
    assert deletion > 0
    assert insertion > 0
    assert gaps(curves[[1, 0, 2]])[0] < 0


def test_slopes_count_by_how_far_the_answer_moves_whichever_way():
    """Dark voxels of negative slope raise the answer; a fill may be answered above the image."""
    rng = np.random.default_rng(0)
    slope = rng.normal(size=(6, 6, 6))
    image = np.zeros((1, 6, 6, 6))
    fill = rng.normal(size=(1, 6, 6, 6))
    inside = np.ones((6, 6, 6), bool)

    def ask(images):
        return (images[:, 0] * slope).sum(axis=(1, 2, 3))

    for sign in (1, -1):
        towards = sign * np.abs(fill) * np.sign(slope)
        orders = [np.abs(slope[inside]), *rng.random((2, slope.size))]
        curves = perturbation_curves(ask, image, towards, inside, orders)
        ends = ask(np.stack([image, towards]))
        deletion, insertion = gaps(curves, ends)
        assert deletion > 0
        assert insertion > 0
        assert np.sign(gaps(curves)[0]) == -sign
        worst = perturbation_curves(ask, image, towards, inside, [-orders[0], *orders[1:]])
        assert max(gaps(worst, ends)) < 0


def test_what_moves_either_way_is_not_called_a_fall(evidence):
    folds = [replace(fold, either_way=True) for fold in evidence.folds]
    told = " ".join(judge(replace(evidence, folds=folds)).sentences)
    assert "the logit moves, up or down, by" in told
    assert "falls" not in told
    assert "the logit falls by" in " ".join(judge(evidence).sentences)


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (2, 200))
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(a, np.ones(200)))


def test_structural_similarity_is_one_for_a_scaled_copy_and_falls_with_noise():
    rng = np.random.default_rng(0)
    a, inside = planted(rng), np.ones(SHAPE, bool)
    assert structural_similarity(a, 3 * a, inside) == pytest.approx(1)
    less = structural_similarity(a, a + planted(rng, 0), inside)
    assert structural_similarity(a, planted(rng, 0), inside) < less < 0.99
    assert np.isnan(structural_similarity(a, np.zeros(SHAPE), inside))


def test_the_checks_look_at_one_scan_of_a_person(tmp_path):
    people = ["sub-0", *["sub-1"] * 4, "sub-2", "sub-3"]
    table = pd.DataFrame(
        {
            "participant_id": people,
            "session_id": ["n/a", *(f"ses-{i}" for i in range(4)), "n/a", "n/a"],
            "group": people,
            "outcome": [0, 0, 1, 1, 1, 1, 1],
        }
    )
    table.to_csv(tmp_path / "cohort.tsv", sep="\t", index=False)
    splits = table[["participant_id"]].drop_duplicates().assign(repeat=0, fold=0, role="test")
    splits.to_csv(tmp_path / "splits.tsv", sep="\t", index=False)
    np.save(tmp_path / "cohort.npy", np.zeros((7, 1, 2, 2, 2), np.float16))
    about = {
        "participants": people,
        "sessions": list(table["session_id"]),
        "channels": [{"name": "t1w"}],
        "window": volume((2, 2, 2), np.eye(4)).to_dict(),
        "key": "key",
    }
    (tmp_path / "cohort.json").write_text(json.dumps(about))
    files = (tmp_path / "cohort.npy", tmp_path / "cohort.tsv", tmp_path / "splits.tsv")
    task = FoldTask(load_recipe("t1w"), "base", 0, 0, *files, tmp_path / "fold")
    assert list(checked_rows(task)) == [2, 5, 6]

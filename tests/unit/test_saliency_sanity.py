"""The verdict on maps: right for maps that were learned, for such that were not, and for none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.derivatives.sealed import write_record
from bidsapp.evaluation.chance import NO_FORECAST, Forecast
from bidsapp.recipes import load_recipe
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.checks import RANDOM_ORDERS, FoldChecks, checked_rows, orders
from bidsapp.saliency.perturbation import SHARES, effects, perturbation_curves
from bidsapp.saliency.sanity import Evidence, judge
from bidsapp.saliency.similarity import rank_correlation, structural_similarity, top_overlap
from bidsapp.saliency.surrogates import Surrogates
from bidsapp.saliency.verdict import NEEDED, mark_of, together, verdict_of
from bidsapp.spaces.grid import MaskedSmoother
from bidsapp.spaces.volume import volume
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
    found = 0.1 * rng.standard_normal((3, 1 + RANDOM_ORDERS, 2))
    found[:, 0] += 1
    curves = np.zeros((3, 1 + RANDOM_ORDERS, 2, len(SHARES)))
    return FoldChecks(3, own, LEVELS, drawn, found, curves)


def halves_of(rng: np.random.Generator, strength: float = 1.0, shuffles: int = 2) -> np.ndarray:
    """Maps of two halves: the cuboid with true outcomes, noise with shuffled ones."""
    return np.array(
        [[planted(rng, strength), *(planted(rng, 0) for _ in range(shuffles))] for _ in range(2)]
    )


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
    inside = np.zeros(SHAPE, bool)
    inside[2:16, 2:18, 2:14] = True
    good = Forecast(0.9, 0.7, 1.0, 12)
    return Evidence(folds, halves_of(rng), good, array, outcome, inside, 4.0, window)


def result(evidence: Evidence, check: str) -> set[str]:
    return {row["result"] for row in judge(evidence).rows if row["check"] == check} - {"info"}


def test_maps_that_were_learned_pass_every_check(evidence, tmp_path):
    found = judge(evidence)
    assert found.verdict == "pass", found.sentences
    assert found.plain()["checks"] == dict.fromkeys(NEEDED, "pass")
    found.write(tmp_path / "sanity.tsv")
    table = pd.read_csv(tmp_path / "sanity.tsv", sep="\t")
    assert {"check", "of", "value", "limit", "result", "meaning"} <= set(table)
    assert len(table) == len(found.rows)


@pytest.mark.parametrize(
    ("forecast", "verdict", "says"),
    [
        (Forecast(0.62, 0.49, 0.75, 60), "not decisive", "not shown to be better than chance (AUC"),
        (Forecast(0.5, 0.4, 0.6, 60), "fail", "no better than chance (AUC 0.50"),
        (Forecast(0.2, 0.1, 0.3, 60), "fail", "no better than chance"),
        (Forecast(0.9, np.nan, np.nan, 60, "one class"), "not decisive", "cannot be told: one cl"),
        (Forecast(0.9, 0.8, 1, 60, leak="LEAK: z"), "not decisive", "cannot be told: LEAK: z"),
        (NO_FORECAST, "not decisive", "there are no metrics"),
    ],
)
def test_the_forecast_must_be_better_than_chance_as_the_headline_says(
    evidence, forecast, verdict, says
):
    found = judge(replace(evidence, forecast=forecast))
    assert found.verdict == verdict
    assert any(says in text for text in found.sentences)


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"halves": None}, ["labels", "halves"]),
        ({"halves": "one shuffle"}, ["halves"]),
        ({"forecast": NO_FORECAST}, ["forecast"]),
        ({"folds": "nobody perturbed"}, ["voxels"]),
    ],
)
def test_what_was_not_run_or_is_unclear_is_no_pass(evidence, changes, lacks):
    rng = np.random.default_rng(4)
    if changes.get("halves") == "one shuffle":
        changes = {"halves": halves_of(rng, shuffles=1)}
    if changes.get("folds") == "nobody perturbed":
        none = [replace(fold, effects=fold.effects[:0]) for fold in evidence.folds]
        changes = {"folds": none}
    found = judge(replace(evidence, **changes))
    assert found.verdict == "not decisive"
    assert [check for check in NEEDED if check not in found.passed] == lacks
    first = found.plain()["sentences"][0]
    assert first.startswith(f"Not decisive: {len(NEEDED) - len(lacks)} of {len(NEEDED)} checks")


def test_a_map_that_needs_no_trained_weights_fails(evidence):
    rng = np.random.default_rng(1)
    folds = [fold_of(rng, fold.trained, 2 * fold.trained) for fold in evidence.folds]
    assert result(replace(evidence, folds=folds), "weights") == {"fail"}
    upside_down = [fold_of(rng, fold.trained, -fold.trained) for fold in evidence.folds]
    assert result(replace(evidence, folds=upside_down), "weights") == {"fail"}


def test_a_map_that_shuffled_outcomes_give_too_fails(evidence):
    rng = np.random.default_rng(5)
    same = halves_of(rng)
    same[:, 1:] = same[:, :1] * 1.5
    assert result(replace(evidence, halves=same), "labels") == {"fail"}
    assert result(replace(evidence, halves=None), "labels") == {"not run"}


def test_halves_that_agree_no_more_than_shuffled_ones_do_not_pass(evidence):
    """Whatever makes all of them alike: an architecture, edges, the mean image."""
    rng = np.random.default_rng(2)
    common = 3 * planted(rng)
    noise = halves_of(rng, strength=0)
    noise[0, 1], noise[1, 2] = noise[0, 1] + common, noise[1, 2] + common
    assert result(replace(evidence, halves=noise), "halves") == {"unclear"}


def test_of_noise_each_pair_of_halves_is_the_most_alike_equally_often(evidence):
    """The rank of the true pair is an exact p: 1 in 9 with two shuffles."""
    small = np.zeros(SHAPE, bool)
    small[4:12, 4:12, 4:12] = True
    passed = 0
    for seed in range(180):
        rng = np.random.default_rng(seed)
        given = replace(evidence, folds=evidence.folds[:1], halves=halves_of(rng, 0), inside=small)
        passed += result(given, "halves") == {"pass"}
    assert 8 <= passed <= 34  # 20 expected, three standard deviations


def test_a_map_of_edges_fails(evidence):
    image = np.zeros(SHAPE, np.float16)
    image[5:12, 5:12, 5:12] = 1
    np.save(evidence.images.path, np.tile(image, (12, 1, 1, 1, 1)))
    border = evidence.space.edges(np.asarray(image, np.float32), 4.0)
    rng = np.random.default_rng(3)
    folds = [fold_of(rng, border, planted(rng, 0)) for _ in range(4)]
    assert result(replace(evidence, folds=folds), "edges") == {"fail"}


def test_voxels_that_matter_less_than_random_ones_fail(evidence):
    folds = [replace(fold, effects=-fold.effects) for fold in evidence.folds]
    assert result(replace(evidence, folds=folds), "voxels") == {"fail"}


def test_voxels_that_matter_as_random_ones_do_are_unclear(evidence):
    """One random pattern may suit every network, as one of those it is compared with does here."""
    folds = [replace(fold, effects=fold.effects.copy()) for fold in evidence.folds]
    for fold in folds:
        fold.effects[:, 7] = fold.effects[:, 0] + 0.1
    found = judge(replace(evidence, folds=folds))
    assert result(replace(evidence, folds=folds), "voxels") == {"unclear"}
    assert found.verdict == "not decisive"


def test_voxels_must_matter_both_ways(evidence):
    folds = [replace(fold, effects=fold.effects.copy()) for fold in evidence.folds]
    for fold in folds:
        fold.effects[:, 0] = [-1, 4]
    assert result(replace(evidence, folds=folds), "voxels") == {"unclear"}


def told_of(evidence: Evidence, check: str) -> str:
    return " ".join(row["meaning"] for row in judge(evidence).rows if row["check"] == check)


def test_small_effects_are_told_by_the_digits_that_they_have(evidence):
    folds = [replace(fold, effects=fold.effects / 1e4) for fold in evidence.folds]
    said = told_of(replace(evidence, folds=folds), "voxels")
    assert "matter more" in said
    assert " 0.00 " not in said


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
    halves = evidence.halves.copy()
    halves[:, 1:] = nothing
    given = replace(evidence, folds=folds, halves=halves)
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


def nobody(fold: FoldChecks) -> FoldChecks:
    empty = np.zeros((0, *SHAPE), np.float32)
    return FoldChecks(0, np.zeros(SHAPE, np.float32), (), empty, fold.effects[:0], fold.curves[:0])


def test_a_fold_without_positives_is_left_out_and_none_at_all_is_said(evidence):
    folds = [nobody(evidence.folds[0]), *evidence.folds[1:]]
    assert judge(replace(evidence, folds=folds)).verdict == "pass"
    found = judge(replace(evidence, folds=[nobody(fold) for fold in evidence.folds]))
    assert found.rows[-1]["result"] == "not run"
    assert "no held-out positive" in found.sentences[-1]


def test_a_mask_without_voxels_and_a_single_person_do_no_harm(evidence):
    found = judge(replace(evidence, inside=np.zeros(SHAPE, bool)))
    assert "mask has no voxel in the window" in found.sentences[-1]
    rng = np.random.default_rng(0)
    fold = replace(fold_of(rng, planted(rng), planted(rng, 0)), people=1)
    fold = replace(fold, effects=fold.effects[:1], curves=fold.curves[:1])
    found = judge(replace(evidence, folds=[fold], halves=None))
    assert {row["check"] for row in found.rows if row["result"] == "not run"} == {
        "labels", "halves", "folds"
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
    found = effects(curves, np.array([whole, 0.0]))
    assert (found[0] > found[2]).all()
    assert (found[1] < found[2]).all()
    assert found[0, 0] == pytest.approx(np.mean(whole - curves[0, 0]))


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
        ranked = [np.abs(slope[inside]), *rng.random((2, slope.size))]
        curves = perturbation_curves(ask, image, towards, inside, ranked)
        ends = ask(np.stack([image, towards]))
        either = effects(curves, ends, either_way=True)
        assert (either[0] > either[1:]).all()
        fallen = effects(curves, ends)
        assert np.sign(fallen[0, 0]) == -sign
        worst = perturbation_curves(ask, image, towards, inside, [-ranked[0], *ranked[1:]])
        assert (effects(worst, ends, True)[0] < effects(worst, ends, True)[1:]).all()


def test_random_maps_are_as_smooth_as_the_map_and_go_elsewhere():
    inside = np.ones(SHAPE, bool)
    inside[:2] = False
    rng = np.random.default_rng(0)
    smoother = MaskedSmoother(inside, (2, 2, 2), 6.0)
    raw = rng.standard_normal(int(inside.sum()))
    surrogates = Surrogates(inside, 19, 3)
    own, *found = orders(raw, smoother, surrogates, either_way=False)
    assert len(found) == 19

    def along(values):
        block = np.zeros(SHAPE)
        block[inside] = values
        block = block[2:]
        return np.corrcoef(block[:, 1:].ravel(), block[:, :-1].ravel())[0, 1]

    assert np.mean([along(one) for one in found]) == pytest.approx(along(own), abs=0.06)
    assert np.abs([np.corrcoef(one, own)[0, 1] for one in found]).mean() < 0.3
    first, again = next(surrogates.of(raw)), next(surrogates.of(raw))
    assert np.array_equal(first, again)
    # the same phases move every map alike
    assert np.allclose(next(surrogates.of(3 * raw + 1)), 3 * first, atol=1e-4)


def test_orders_of_slopes_go_by_magnitude_and_of_absolute_maps_by_value():
    inside = np.ones((6, 6, 6), bool)
    own = np.random.default_rng(0).standard_normal(216).astype(np.float32)
    surrogates = Surrogates(inside, 2, 0)
    for either_way, signed, low in ((True, own, True), (False, own, False), (True, own**2, None)):
        smoother = MaskedSmoother(inside, (2, 2, 2), 0.0)
        ranked = list(orders(signed, smoother, surrogates, either_way))
        assert len(ranked) == 3
        if low is not None:
            assert all((one >= 0).all() == low for one in ranked)
    assert (ranked[1] < 0).any()


def test_overlap_of_the_strongest_counts_signs():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(2000)
    assert top_overlap(a, 2 * a) == 1
    assert top_overlap(a, -a) == -1
    assert abs(np.mean([top_overlap(a, rng.standard_normal(2000)) for _ in range(50)])) < 0.02
    assert np.isnan(top_overlap(a, np.zeros(2000)))


def test_what_moves_either_way_is_not_called_a_fall(evidence):
    folds = [replace(fold, either_way=True) for fold in evidence.folds]
    told = " ".join(judge(replace(evidence, folds=folds)).sentences)
    assert "the logit moves, up or down, by" in told
    assert "the logit changes by" in " ".join(judge(evidence).sentences)


def test_joined_maps_are_as_good_as_the_worst_of_them(evidence):
    good = judge(evidence)
    undecided = judge(replace(evidence, halves=None))
    bad = judge(replace(evidence, forecast=Forecast(0.5, 0.4, 0.6, 12)))
    assert together([good, good], "ab")["verdict"] == "pass"
    assert together([good, undecided], "ab")["verdict"] == "not decisive"
    joined = together([good, undecided, bad], "abc")
    assert joined["verdict"] == "fail"
    assert joined["checks"]["forecast"] == "fail"
    assert joined["checks"]["halves"] == "not run"
    assert any(text.startswith("b: Not decisive: ") for text in joined["sentences"])


def test_a_pass_by_the_rules_of_an_earlier_version_is_not_decisive(evidence):
    assert verdict_of({"verdict": "pass", "sentences": []}) == "not decisive"
    assert verdict_of({"verdict": "fail"}) == "fail"
    assert verdict_of(None) == verdict_of({}) == "not run"
    assert verdict_of(judge(evidence).plain()) == "pass"


def test_a_name_says_what_did_not_pass():
    marks = {word: mark_of(word) for word in ("pass", "fail", "not decisive", "not run")}
    assert marks == {"pass": "", "fail": "Suspect", "not decisive": "Undecided", "not run": ""}


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (2, 200))
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(a, np.ones(200)))


def test_structural_similarity_is_one_for_a_scaled_copy_and_falls_with_noise():
    rng = np.random.default_rng(0)
    a, inside = planted(rng), np.ones(SHAPE, bool)
    even = np.ones(inside.size)
    assert structural_similarity(a, 3 * a, inside, even) == pytest.approx(1)
    less = structural_similarity(a, a + planted(rng, 0), inside, even)
    assert structural_similarity(a, planted(rng, 0), inside, even) < less < 0.99
    assert np.isnan(structural_similarity(a, np.zeros(SHAPE), inside, even))


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
    write_record(tmp_path / "cohort.json", about, [tmp_path / "cohort.npy"])
    files = (tmp_path / "cohort.npy", tmp_path / "cohort.tsv", tmp_path / "splits.tsv")
    task = FoldTask(load_recipe("t1w"), "base", 0, 0, *files, tmp_path / "fold")
    assert list(checked_rows(task)) == [2, 5, 6]

"""When a model does not answer: limits, what they promise, and who is turned away."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bidsapp.contracts.abstention import UNLIKE, UNSURE, Limits
from bidsapp.errors import BadData
from bidsapp.evaluation.abstention import (
    conformal_limit,
    coverage_curve,
    error_rate_p,
    fewest_for,
    fit_limits,
    kept_errors,
    sure_limit,
)
from bidsapp.evaluation.validation import answered
from bidsapp.networks.bundle_about import LIMITS, LOOKS, Carried, read_carried, write_carried
from bidsapp.networks.familiarity import Familiar, Look, judge
from bidsapp.networks.features import captured
from bidsapp.networks.image_looks import block_sums, block_texture


def logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def test_no_more_than_the_stated_share_of_people_like_training_is_turned_away() -> None:
    rng = np.random.default_rng(0)
    away = []
    for _ in range(400):
        limit, share = conformal_limit(rng.normal(size=48), 0.05)
        assert share == pytest.approx(2 / 49)
        away.append((rng.normal(size=100) > limit).mean())
    assert np.mean(away) <= 0.05 + 3 * np.std(away) / 20
    assert np.mean(away) > 0.03  # and not far fewer
    few = rng.normal(size=18)
    assert conformal_limit(few, 0.05) == (few.max(), pytest.approx(1 / 19))


def each(rows: np.ndarray) -> np.ndarray:
    """Every row is another person."""
    return np.arange(len(rows))


def people(rng: np.random.Generator, count: int, slope: float = 2.0):  # type: ignore[no-untyped-def]
    x = rng.normal(0, 1.5, count)
    return logistic(x), rng.random(count) < logistic(slope * x)


def test_errors_among_answers_stay_under_the_rate_as_often_as_is_said() -> None:
    """Of 300 models, at most 5 % (and chance) have limits above whose true error is too large."""
    rng = np.random.default_rng(1)
    later, truth = people(rng, 20000)
    broken, given = 0, 0
    for _ in range(300):
        p, outcome = people(rng, 150)
        distances = {"features": np.exp(rng.normal(size=150))}
        limits = fit_limits(distances, outcome, p, each(p), 0.5)
        assert limits is not None
        if limits.sure is None:
            continue
        given += 1
        answered = limits.sureness(later) >= limits.sure
        broken += bool(((later >= 0.5) != truth)[answered].mean() > limits.error_rate)
    assert given > 150
    assert broken / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_too_few_people_promise_nothing_and_that_is_said() -> None:
    rng = np.random.default_rng(2)
    p, outcome = people(rng, 24)
    distances = {"features": np.exp(rng.normal(size=24))}
    limits = fit_limits(distances, outcome, p, each(p), 0.5, error_rate=0.1)
    assert limits is not None
    assert limits.sure is None
    assert "even without an error it needs 29 people" in limits.notes[0]
    assert fewest_for(0.1) == 29
    assert fit_limits(distances | {"features": np.ones(24)}, outcome, p, each(p), 0.5) is None
    few = {"features": np.exp(rng.normal(size=12))}
    assert fit_limits(few, outcome[:12], p[:12], each(p[:12]), 0.5) is None


def test_the_limit_of_sureness_takes_ties_together_and_stops_at_the_first_failure() -> None:
    sureness = np.r_[np.full(40, 3.0), np.full(20, 2.0), np.full(200, 1.0)]
    wrong = np.zeros(260, bool)
    wrong[40:60] = True
    assert (
        sure_limit(sureness, wrong, each(wrong), 0.1) == 3.0
    )  # though all 260 together err rarely enough


def visits(rng: np.random.Generator, count: int):  # type: ignore[no-untyped-def]
    """Four visits a person, whose outcomes mostly go together."""
    x = np.repeat(rng.normal(0, 1.5, count), 4) + rng.normal(0, 0.2, 4 * count)
    common = np.repeat(rng.random(count), 4)
    luck = np.where(rng.random(4 * count) < 0.95, common, rng.random(4 * count))
    return logistic(x), luck < logistic(2 * x), np.repeat(np.arange(count), 4)


def test_a_copy_of_a_persons_scan_leaves_both_limits_as_they_are() -> None:
    """Counted as people, twice as many would promise what the half cannot."""
    rng = np.random.default_rng(8)
    p, outcome = people(rng, 40, slope=4.0)
    distances = {"features": np.exp(rng.normal(size=40))}
    once = fit_limits(distances, outcome, p, each(p), 0.5)
    apart = {"features": np.repeat(distances["features"], 3)}
    again = [np.repeat(values, 3) for values in (outcome, p, each(p))]
    assert once == fit_limits(apart, again[0], again[1], again[2], 0.5)
    assert once is not None
    assert once.people == 40
    as_people = fit_limits(apart, again[0], again[1], each(again[1]), 0.5)
    assert as_people is not None
    assert as_people.sure is not None
    assert once.sure is None or as_people.sure < once.sure


def test_errors_of_several_visits_stay_under_the_rate_as_often_as_is_said_of_people() -> None:
    """Of 150 models at most 5 % are wrong too often; visits counted as people are."""
    rng = np.random.default_rng(9)
    later, truth, _ = visits(rng, 8000)
    broken, given = np.zeros(2), np.zeros(2)
    for _ in range(150):
        p, outcome, who = visits(rng, 100)
        distances = {"features": np.exp(rng.normal(size=400))}
        for k, person in enumerate((who, each(p))):
            limits = fit_limits(distances, outcome, p, person, 0.5)
            assert limits is not None
            if limits.sure is None:
                continue
            given[k] += 1
            told = limits.sureness(later) >= limits.sure
            broken[k] += ((later >= 0.5) != truth)[told].mean() > limits.error_rate
    chance = 3 * np.sqrt(0.05 * 0.95 / 150)
    assert given[0] > 50
    assert broken[0] / 150 <= 0.05 + chance
    assert broken[1] > max(2 * broken[0], 0.05 * 150)


def test_unlike_is_a_person_with_any_unlike_knee_at_the_stated_share() -> None:
    rng = np.random.default_rng(10)
    away = []
    for _ in range(200):
        person = np.repeat(np.arange(60), rng.integers(1, 4, 60))
        distances = {"features": np.exp(rng.normal(size=len(person)))}
        p, outcome = people(rng, len(person))
        limits = fit_limits(distances, outcome, p, person, 0.5)
        assert limits is not None
        new = np.repeat(np.arange(100), rng.integers(1, 4, 100))
        reasons = limits.reasons(
            {"features": np.exp(rng.normal(size=len(new)))}, np.full(len(new), 1.0)
        )
        away.append(len(set(new[np.array(reasons) == UNLIKE])) / 100)
    assert np.mean(away) == pytest.approx(0.05, abs=0.015)


def test_the_bound_of_shares_is_the_exact_one_without_errors_and_no_smaller_else() -> None:
    assert error_rate_p(0.0, 29, 0.1, several=True) == pytest.approx(0.9**29)
    for errors in (1.0, 2.0, 4.0):
        alone = error_rate_p(errors, 60, 0.1, several=False)
        assert alone < error_rate_p(errors, 60, 0.1, several=True)
    rng = np.random.default_rng(11)
    shares = rng.binomial(2, 0.1, (4000, 60)) / 2  # a mean of .1 exactly: claimed in at most 5 %
    claimed = [error_rate_p(one, 60, 0.1, several=True) <= 0.05 for one in shares.sum(axis=1)]
    assert np.mean(claimed) <= 0.05


def test_a_persons_answers_are_one_answer_in_what_is_counted() -> None:
    outcome, p = np.array([1, 1, 0, 0, 1]), np.array([0.9, 0.2, 0.2, 0.1, 0.9])
    who = np.array(["a", "a", "b", "c", "c"])
    table = kept_errors(["", "", "", UNLIKE, ""], outcome, p, who, limits_of()).set_index("part")
    assert table.loc["answered", ["people", "forecasts", "errors"]].tolist() == [3, 4, 1]
    assert table.loc["answered", "error_rate"] == pytest.approx(0.5 / 3)
    assert table.loc["unlike", "note"].startswith("33% of these people")
    curve = coverage_curve(outcome, p, who, 0.5, {"first": -np.arange(5)})
    assert curve["accuracy"].tolist() == pytest.approx([1, 0.5, 1.5 / 2, 2.5 / 3, 2.5 / 3])


def limits_of(signals: tuple[str, ...] = ("features", "quality")) -> Limits:
    return Limits(
        dict.fromkeys(signals, 0.0), dict.fromkeys(signals, 1.0), 2.0, 0.05, 1.0, 0.1, 0.5, 48
    )


def test_who_lacks_a_signal_is_judged_by_the_others() -> None:
    far, nan = np.exp(3.0), np.nan
    distances = {"features": np.array([1, far, 1.0]), "quality": np.array([nan, nan, far])}
    limits = limits_of()
    p = np.array([0.9, 0.9, 0.6])
    assert limits.reasons(distances, p) == ["", UNLIKE, UNLIKE]
    assert limits.most_unlike(distances)[1:] == ["features", "quality"]
    assert limits.reasons({"features": np.ones(3)}, p) == ["", "", UNSURE]
    assert Limits.of(limits.plain()) == limits
    with pytest.raises(BadData, match="cannot be used"):
        Limits.of(limits.plain() | {"spread": {"features": 0.0, "quality": 1.0}})


def test_the_curve_counts_right_answers_of_the_surest() -> None:
    p, outcome = np.array([0.9, 0.2, 0.6, 0.45]), np.array([1, 0, 0, 1])
    sure = limits_of().sureness(p)
    curve = coverage_curve(outcome, p, each(p), 0.5, {"sure": sure})
    assert curve["errors"].tolist() == [0, 0, 1, 2]
    assert curve["accuracy"].tolist() == [1, 1, 2 / 3, 0.5]
    kept = kept_errors(["", "", UNSURE, UNSURE], outcome, p, each(p), limits_of())
    kept = kept.set_index("part")
    assert kept.loc["answered", "errors"] == 0
    assert kept.loc["unsure", "error_rate"] == 1
    assert kept.loc["answered", "note"] == "not shown to be broken, nor kept"  # of two people


@pytest.fixture(scope="module")
def heads() -> np.ndarray:
    """120 smooth images, (n, 1, 24, 24, 24), brighter in the middle."""
    rng = np.random.default_rng(3)
    coarse = rng.normal(1, 0.2, (120, 1, 6, 6, 6)).astype(np.float32)
    return coarse.repeat(4, 2).repeat(4, 3).repeat(4, 4)


def familiar_with(images: np.ndarray) -> Familiar:
    """Trained on the first 60, limits from the next 40."""
    blocks = np.stack([block_sums(one) for one in images])
    rough = np.stack([block_texture(one) for one in images[:60]])
    looks = {name: (Look.of(blocks[:60]),) for name in ("features", "intensities")}
    looks["texture"] = (Look.of(rough),)
    bare = Familiar(looks, (), None)
    held = bare.distances([blocks[60:100]], images[60:100], [{}] * 40)
    rng = np.random.default_rng(4)
    p, outcome = people(rng, 40)
    return Familiar(looks, (), fit_limits(held, outcome, p, each(p), 0.5))


def test_errors_are_those_of_the_answers_that_a_recalibrated_model_gives(tmp_path: Path) -> None:
    """All three would be told positive by the networks; recalibrated, the first is not."""
    own = pd.DataFrame({"participant_id": ["a", "b", "c"], "session_id": "", "outcome": [0, 1, 0]})
    own["probability"] = [0.4, 0.8, 0.7]
    told = own[["participant_id", "session_id"]].assign(no_answer=["", "", UNSURE])
    told.assign(disagreement=0.1).to_csv(tmp_path / "answers.tsv", sep="\t", index=False)
    kept, _ = answered(tmp_path, {"limits": limits_of().plain()}, own)
    errors = kept.set_index("part")["errors"]
    assert errors[["everybody", "answered", "unsure"]].tolist() == [1, 0, 1]


@pytest.mark.parametrize("change", ["none", "dark half", "other contrast", "noise", "blur"])
def test_damaged_heads_and_another_contrast_are_unlike(heads: np.ndarray, change: str) -> None:
    familiar, new = familiar_with(heads), heads[100:].copy()
    if change == "dark half":
        new[:, :, :12] = 0
    if change == "other contrast":
        new = 2 - new + 0.3
    if change == "noise":
        new += np.random.default_rng(5).normal(0, 0.3, new.shape).astype(np.float32)
    if change == "blur":
        new = gaussian_filter(new, (0, 0, 2, 2, 2))
    blocks = np.stack([block_sums(one) for one in new])
    judged = judge(familiar, [blocks], new, [{}] * 20, np.full((20, 1), 0.9))
    away = np.mean([why == UNLIKE for why in judged.reasons])
    assert away <= 0.25 if change == "none" else away == 1
    assert np.isnan(judged.disagreement).all()  # one model


def test_texture_sees_noise_and_blur_and_neither_scale_nor_shift() -> None:
    image = np.random.default_rng(6).normal(1, 0.2, (2, 20, 19, 9)).astype(np.float32)
    plain = block_texture(image)
    assert plain.shape == (2 * 2 * 3 * 3 * 2,)  # scales, channels, blocks
    assert block_texture(5 * image + 3) == pytest.approx(plain, abs=1e-3)
    rough = image + np.random.default_rng(7).normal(0, 0.5, image.shape).astype(np.float32)
    smooth = (image + np.roll(image, 1, 1)) / 2
    assert block_texture(smooth)[:36].mean() < plain[:36].mean()
    one = image.copy()
    one[0, :8, :8, :8] = rough[0, :8, :8, :8]  # one block of one channel
    assert block_texture(one)[0] > plain[0] + 0.5
    # a channel of small values (a log-Jacobian beside intensities) counts as another does
    scales = np.array([1000, 0.01], np.float32).reshape(2, 1, 1, 1)
    assert block_texture(image * scales) == pytest.approx(plain, abs=1e-3)
    blurred = image.copy()
    blurred[1] = smooth[1]
    seen = block_texture(blurred * scales) - block_texture(image * scales)
    assert seen.reshape(2, 2, -1)[0, 1].mean() < -0.1
    assert seen.reshape(2, 2, -1)[:, 0] == pytest.approx(0, abs=1e-3)
    flat = block_texture(np.zeros((1, 12, 12), np.float32))
    assert np.isfinite(flat).all()


def test_looks_come_back_from_their_arrays_and_broken_ones_are_refused(heads: np.ndarray) -> None:
    familiar = familiar_with(heads)
    arrays = familiar.arrays()
    again = Familiar.of(arrays, (), familiar.limits, 1)
    blocks = np.stack([block_sums(one) for one in heads[:5]])
    for one in (familiar, again):
        found = one.distances([blocks], heads[:5], [{}] * 5)
        assert found["features"].tolist() == pytest.approx(found["intensities"].tolist())
    for broken in (
        {name: value for name, value in arrays.items() if "intensities" not in name},
        arrays | {"features.0.sd": -arrays["features.0.sd"]},
        arrays | {"features.0.mean": arrays["features.0.mean"] * np.nan},
    ):
        with pytest.raises(BadData):
            Familiar.of(broken, (), familiar.limits, 1)
    with pytest.raises(BadData):
        Familiar.of(arrays, (), familiar.limits, 2)


def test_texture_of_an_earlier_definition_is_not_looked_at_and_that_is_said(
    heads: np.ndarray, tmp_path: Path
) -> None:
    """Of one channel both definitions are the same."""
    familiar = familiar_with(heads)
    for folder in ("configs", "models"):
        (tmp_path / folder).mkdir()
    write_carried(tmp_path, Carried(familiar=familiar), anonymous=False)
    files = {str(LOOKS): "", str(LIMITS): ""}
    for channels in (1, 2):
        own = read_carried(tmp_path, files, 1, channels).familiar
        assert own is not None
        assert "texture" in own.looks
        assert own.limits == familiar.limits
    told = json.loads((tmp_path / LIMITS).read_text())
    told.pop("texture")
    (tmp_path / LIMITS).write_text(json.dumps(told))
    one = read_carried(tmp_path, files, 1, 1).familiar
    two = read_carried(tmp_path, files, 1, 2).familiar
    assert one is not None
    assert one.looks.keys() == familiar.looks.keys()
    assert two is not None
    assert two.limits is not None
    assert "texture is not looked at" in two.limits.notes[-1]
    noisy = heads[100:] + np.random.default_rng(5).normal(0, 0.3, heads[100:].shape)
    blocks = np.stack([block_sums(image) for image in noisy])
    judged = judge(two, [blocks], noisy, [{}] * 20, np.full((20, 1), 0.9))
    assert "texture" not in {*judged.distances, *judged.most_unlike}
    assert two.without_texture() == two


def test_features_are_what_the_last_layer_is_given_and_answers_stay_as_they_are() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 4), torch.nn.Linear(4, 1))
    x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    plain = network(x)
    with captured(network) as kept:
        assert torch.equal(network(x), plain)
    assert torch.allclose(network[2](torch.from_numpy(kept[0])), plain)
    network(x)
    assert len(kept) == 1  # nothing is collected afterwards

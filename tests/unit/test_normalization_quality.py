"""The verdict: each limit trips its own reason, and the numbers agree with slow ones."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.modalities.t1w import measures as limits
from bidsapp.modalities.t1w.quality import (
    Quality,
    correlation,
    cut_faces,
    judge,
    local_correlation,
)

SHAPE = (24, 28, 24)


def ball(shape: tuple[int, int, int] = SHAPE, radius: float = 10) -> np.ndarray:
    centre = (np.array(shape) - 1) / 2
    return radius >= np.linalg.norm(np.indices(shape).T - centre, axis=-1).T


def texture(seed: int) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 0.7) + 10


def native(millilitres: float) -> tuple[np.ndarray, np.ndarray]:
    """Mask that holds so much, away from the faces of its field of view."""
    mask = ball()
    size = (millilitres * 1000 / mask.sum()) ** (1 / 3)
    return mask, np.diag([size, size, size, 1.0])


def judged(**changes: Any) -> Quality:
    """A normalisation without fault, but for the changes."""
    inside = ball()
    template = np.where(inside, texture(0), 0)
    native_mask, native_affine = native(1400)
    given: dict[str, Any] = {
        "image": np.where(inside, template + 0.1 * texture(1), 0),
        "template": template,
        "moved_mask": inside,
        "native_mask": native_mask,
        "native_affine": native_affine,
        "affine": np.eye(4),
        "determinant": np.ones(1000),
    }
    return judge(**(given | changes))


def shaded(details: np.ndarray) -> np.ndarray:
    """Details on a slope that agrees across the brain, whatever they do; no background."""
    return 0.1 * np.indices(SHAPE)[0] + details


def test_what_is_without_fault_passes_without_a_reason() -> None:
    quality = judged()
    assert (quality.verdict, quality.reasons) == (PASS, ())
    assert quality.mask_dice == 1


def scaled(*scales: float) -> np.ndarray:
    return np.diag([*scales, 1.0])


def at_the_face() -> np.ndarray:
    mask = native(1400)[0].copy()
    mask[5:-5, 5:-5, -1] = True
    return mask


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"native_mask": native(1400)[0], "native_affine": native(850)[1]}, FAIL, "holds 850 ml"),
        ({"native_affine": native(2150)[1]}, FAIL, "holds 2150 ml"),
        ({"affine": scaled(0.69, 1, 1)}, FAIL, "scales by 0.69 to 1.00"),
        ({"affine": scaled(1, 1.31, 1)}, FAIL, "scales by 1.00 to 1.31"),
        ({"affine": scaled(-1, 1, 1)}, FAIL, "mirrors"),
        ({"native_mask": at_the_face()}, WARN, "edge of the field of view (superior)"),
        ({"determinant": np.r_[np.ones(990), -np.ones(10)]}, WARN, "folds in 1.0% of the brain"),
        ({"rescued": True}, WARN, "left and right cannot be verified"),
        ({"doubts": ("Who knows.",)}, WARN, "Who knows."),
    ],
)
def test_each_limit_trips_its_own_reason(
    changes: dict[str, Any], verdict: str, reason: str
) -> None:
    quality = judged(**changes)
    assert quality.verdict == verdict
    assert len(quality.reasons) == 1
    assert reason in quality.reasons[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"native_affine": native(901)[1]},
        {"native_affine": native(2099)[1]},
        {"affine": scaled(0.701, 1, 1.299)},
        {"determinant": np.r_[np.full(995, 0.01), -np.ones(5)]},
        {"native_mask": at_the_face(), "stripped": True},
        {"moved_mask": np.zeros(SHAPE, bool)},
    ],
)
def test_what_keeps_the_limits_passes(changes: dict[str, Any]) -> None:
    assert judged(**changes).reasons == ()


def test_an_image_of_something_else_fails_both_correlations() -> None:
    quality = judged(image=np.where(ball(), texture(7), 0))
    assert quality.verdict == FAIL
    assert [reason.split(" with")[0] for reason in quality.reasons] == ["NCC", "Local NCC"]


def test_local_correlation_warns_before_it_fails() -> None:
    seen = set()
    for weight in np.linspace(0, 1, 31):
        image = shaded((1 - weight) * texture(0) + weight * texture(7))
        quality = judged(image=image, template=shaded(texture(0)))
        assert quality.ncc >= limits.NCC.low  # so that what follows is the local one's doing
        if quality.local_ncc < limits.LOCAL_NCC_FAILS.low:
            verdict, says = FAIL, "(below 0.55)"
        elif quality.local_ncc < limits.LOCAL_NCC_WARNS.low:
            verdict, says = WARN, "(below 0.7)"
        else:
            verdict, says = PASS, ""
        assert quality.verdict == verdict
        assert says in " ".join(quality.reasons)
        assert len(quality.reasons) == (verdict != PASS)
        seen.add(verdict)
    assert seen == {PASS, WARN, FAIL}


def test_a_constant_or_empty_image_fails_and_is_not_nan() -> None:
    for image in (np.zeros(SHAPE), np.full(SHAPE, 3.0)):
        quality = judged(image=image)
        assert (quality.ncc, quality.local_ncc, quality.verdict) == (0, 0, FAIL)


def brute_force(x: np.ndarray, y: np.ndarray, inside: np.ndarray, radius: int) -> float:
    """Correlation in every cube, one by one; the border is reflected, as in scipy."""
    padded = [np.pad(a.astype(float), radius, mode="symmetric") for a in (x, y)]
    found = []
    for index in np.argwhere(inside):
        cube = tuple(slice(i, i + 2 * radius + 1) for i in index)
        one, other = (a[cube].ravel() for a in padded)
        constant = np.ptp(one) == 0 or np.ptp(other) == 0
        found.append(0.0 if constant else np.corrcoef(one, other)[0, 1])
    return float(np.mean(found))


@pytest.mark.parametrize("radius", [1, 2])
def test_local_correlation_agrees_with_the_slow_way(radius: int) -> None:
    random = np.random.default_rng(3)
    x = random.normal(10, 3, (9, 10, 11))
    y = 0.5 * x + random.normal(5, 2, x.shape)
    x[:4, :, :5] = 7  # constant cubes count as 0
    inside = random.random(x.shape) > 0.4
    assert local_correlation(x, y, inside, radius) == pytest.approx(
        brute_force(x, y, inside, radius), abs=1e-6
    )


@given(st.floats(0.01, 1000), st.floats(0, 1000))
@settings(max_examples=25, deadline=None)
def test_correlations_do_not_depend_on_the_scale_of_the_image(gain: float, offset: float) -> None:
    inside, template = ball(), texture(0)
    image = 0.7 * template + 0.3 * texture(1)
    for measure in (correlation, local_correlation):
        expected = measure(image, template, inside)
        assert measure(gain * image + offset, template, inside) == pytest.approx(expected, abs=1e-4)


@given(hnp.arrays(np.float32, (6, 6, 6), elements=st.floats(-100, 100, width=32)))
@settings(max_examples=50, deadline=None)
def test_correlations_stay_between_minus_one_and_one(image: np.ndarray) -> None:
    template = np.indices((6, 6, 6)).sum(axis=0)
    inside = np.ones_like(template, dtype=bool)
    for measure in (correlation, local_correlation):
        assert -1 - 1e-9 <= measure(image, template, inside) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("axis", "end", "name"),
    [
        (0, 0, "left"),
        (0, -1, "right"),
        (1, 0, "posterior"),
        (1, -1, "anterior"),
        (2, 0, "inferior"),
        (2, -1, "superior"),
    ],
)
def test_a_cut_face_is_named_from_two_square_centimetres_on(axis: int, end: int, name: str) -> None:
    face = np.zeros((20, 20, 20), bool)
    index: list[Any] = [slice(0, 10), slice(0, 6), slice(0, 6)]
    index[axis] = end
    face[tuple(index)] = True
    area = int(face.sum())  # square millimetres at 1 mm
    size = np.sqrt(limits.EDGE_MM2 / area)
    others = np.delete(np.arange(3), axis)
    smaller, larger = np.eye(4), np.eye(4)
    for other in others:
        smaller[other, other], larger[other, other] = 0.99 * size, 1.01 * size
    assert name not in cut_faces(face, smaller)
    assert name in cut_faces(face, larger)


def test_the_plain_form_is_rounded_and_goes_into_json() -> None:
    import json

    content = judged(affine=scaled(1.23456789, 1, 0.9)).plain()
    assert content["affine_scales"] == [1.2346, 1.0, 0.9]
    assert content["brain_volume_ml"] == 1400.0
    assert json.loads(json.dumps(content))["verdict"] == PASS


def bright(image: np.ndarray, times: float) -> np.ndarray:
    """The same with 3 % of the brain far brighter than its tissue."""
    random = np.random.default_rng(9)
    inside = np.flatnonzero(ball())
    vessels = random.choice(inside, round(0.03 * inside.size), replace=False)
    found = image.copy()
    found.ravel()[vessels] = times * image.max()
    return found


def contrasted(seed: int) -> np.ndarray:
    """A brain of three tissues."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.5)
    levels = np.array([0.25, 0.65, 1.0])[np.digitize(smooth / smooth.std(), [-1.2, 0.2])]
    return np.where(ball(), levels + 0.03 * texture(seed + 1) - 0.3, 0)


@pytest.mark.parametrize("times", [2, 4, 10])
def test_bright_vessels_do_not_fail_a_brain_in_its_place(times: float) -> None:
    template = contrasted(0)
    plain, quality = (
        judged(image=template, template=template),
        judged(image=bright(template, times), template=template),
    )
    assert (plain.bright_share, plain.verdict) == (0, PASS)
    assert quality.bright_share == pytest.approx(0.03, abs=0.002)
    assert quality.verdict != FAIL
    assert quality.ncc > limits.NCC.low
    assert quality.ncc > correlation(bright(template, times), template, ball()) + 0.05


@pytest.mark.parametrize("times", [1, 2, 4, 10])
def test_bright_vessels_do_not_pass_a_brain_out_of_its_place(times: float) -> None:
    template = contrasted(0)
    for image in (contrasted(7), np.roll(template, 4, axis=0), template[:, ::-1]):
        quality = judged(image=bright(image, times), template=template)
        assert quality.verdict == FAIL
        assert quality.ncc < limits.NCC.low

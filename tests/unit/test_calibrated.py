"""What a probability is worth, with its interval."""

import numpy as np
import pytest

from bidsapp.contracts.calibrated import Calibrated
from bidsapp.errors import BadData
from bidsapp.evaluation.calibrated import fit_calibrated
from tests.benchmarks.calibrated import INFLATION, KINDS, study


def test_the_interval_holds_peoples_true_probability() -> None:
    """Of discriminant analyses of 60 and 128 people, whose mean answers new people."""
    rng = np.random.default_rng(0)
    for people, kind in ((60, KINDS[1]), (128, KINDS[2]), (128, KINDS[3])):
        held, widths = [], []
        for _ in range(60):
            one = study(people, kind, rng)
            told, _ = fit_calibrated(one.outcome, one.held_out, np.arange(people), INFLATION)
            if told is not None:
                _, low, high = told.of(one.answer)
                held.append(((low <= one.truth) & (one.truth <= high)).mean())
                widths.append((high - low).mean())
        assert len(held) > 40
        assert np.mean(held) > 0.93
        assert np.mean(widths) < 0.6  # and says something


def drawn(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1.5, count)
    return (rng.random(count) < 1 / (1 + np.exp(-x))).astype(float), 1 / (1 + np.exp(-3 * x))


def test_probabilities_that_are_too_extreme_are_worth_less() -> None:
    outcome, p = drawn(20000)
    told, _ = fit_calibrated(outcome, p, np.arange(20000))
    assert told is not None
    value, low, high = told.of(np.array([0.05, 0.5, 0.95]))
    right = 1 / (1 + (1 / np.array([0.05, 0.5, 0.95]) - 1) ** (1 / 3))
    assert np.abs(value - right).max() < 0.03
    assert (low < right).all()
    assert (right < high).all()


def test_a_copy_of_a_persons_scan_changes_nothing() -> None:
    outcome, p = drawn()
    once, _ = fit_calibrated(outcome, p, np.arange(60))
    again, _ = fit_calibrated(np.repeat(outcome, 3), np.repeat(p, 3), np.repeat(np.arange(60), 3))
    assert once is not None
    assert again is not None
    assert (once.people, again.people) == (60, 60)
    assert np.stack(again.of(p)) == pytest.approx(np.stack(once.of(p)))


def test_classes_that_a_threshold_separates_have_a_finite_line() -> None:
    outcome = np.arange(40) >= 20
    told, _ = fit_calibrated(outcome, np.linspace(0.01, 0.99, 40), np.arange(40))
    assert told is not None
    value, low, high = told.of(np.array([0.5, 0.99]))
    assert value[0] == pytest.approx(0.5)
    assert (low > 0).all()
    assert high[0] < 0.95
    assert 0.2 < low[1] < 0.999  # of 40 people nobody knows that it is certain


@pytest.mark.parametrize(
    ("outcome", "probability", "why"),
    [
        (np.arange(24) < 9, np.linspace(0.9, 0.1, 24), "9 positive and 15 negative people"),
        (np.arange(24) < 12, np.full(24, 0.4), "all probabilities are the same"),
        (np.arange(24) < 12, np.linspace(0.1, 0.9, 24), "do not rise with the outcome"),
    ],
)
def test_where_it_cannot_be_had_the_reason_is_said(
    outcome: np.ndarray, probability: np.ndarray, why: str
) -> None:
    told, reason = fit_calibrated(outcome, probability, np.arange(24))
    assert told is None
    assert why in reason


def test_it_comes_back_from_its_file_and_broken_ones_are_refused() -> None:
    told, _ = fit_calibrated(*drawn(), np.arange(60))
    assert told is not None
    plain = told.plain()
    assert Calibrated.read(plain) == told
    wrong = (
        {"slope": -1.0},
        {"variance": [1.0, 2.0, 1.0]},
        {"variance": [1.0]},
        {"level": 1.5},
        {"intercept": "high"},
        {"people": None},
    )
    for change in wrong:
        with pytest.raises(BadData, match="cannot be used"):
            Calibrated.read(plain | change)

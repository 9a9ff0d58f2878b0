"""Categories: which test is chosen, against scipy and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import Table

from bidsapp.evaluation.cohort_table import chi_square, compare_counts


@pytest.mark.parametrize("counts", [[[30, 40], [25, 60]], [[12, 30, 9], [20, 22, 14]]])
def test_chi_square_like_statsmodels(counts):
    oracle = Table(np.array(counts), shift_zeros=False).test_nominal_association()
    assert chi_square(np.array(counts)) == pytest.approx((oracle.statistic, oracle.pvalue))
    ours = compare_counts(np.array(counts))
    assert (ours.test, ours.statistic) == ("chi-square", pytest.approx(oracle.statistic))


def test_small_expected_counts_are_tested_exactly():
    counts = np.array([[21, 67], [1, 22]])
    ours = compare_counts(counts)
    assert ours.test == "Fisher"
    assert ours.p == pytest.approx(stats.fisher_exact(counts).pvalue)
    larger = compare_counts(np.array([[3, 2, 40], [1, 4, 50]]))
    assert larger.test == "chi-square"
    assert "below 5" in larger.note


@pytest.mark.parametrize(
    ("counts", "reason"), [([[3], [4]], "one value"), ([[0, 0], [3, 4]], "without values")]
)
def test_untestable_counts_say_why(counts, reason):
    ours = compare_counts(np.array(counts))
    assert np.isnan(ours.p)
    assert reason in ours.note

"""Table 1: two groups of people compared column by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.counts import cohort_counts
from bidsapp.dataset.covariates import SIDECAR, user_name
from bidsapp.dataset.reading import FEWEST_NUMBERS
from bidsapp.evaluation.comparisons import bonferroni, false_discovery_rate
from bidsapp.evaluation.manova import one_way_manova
from bidsapp.evaluation.tsv import is_missing, numeric, reading_of, unusable

COLUMNS = (
    "column",
    "value",
    "first",
    "second",
    "missing_first",
    "missing_second",
    "test",
    "statistic",
    "p",
    "p_bonferroni",
    "p_fdr",
    "standardised_difference",
    "note",
)
SCANS_NOT_TESTED = "scans are counted; those of one person are not independent: not tested"
_NORMAL_AT = 0.05
_SMALL_EXPECTED = 5


@dataclass(frozen=True)
class Comparison:
    """Test of one column between two groups; NaN with a reason in `note` where there is none."""

    test: str
    statistic: float
    p: float
    difference: float
    note: str = ""


def positives_and_negatives(scans: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Compare positives with negatives: people, each by the first scan, where each has one outcome.

    Where the outcome differs between scans of a person, scans are counted and nothing is tested:
    scans of one person are not independent, and one person may be on both sides.

    Parameters
    ----------
    scans
        A row per scan, as in cohort.tsv, sorted.
    columns
        To compare, by their names in cohort.tsv; the table has the user's. Those that name each
        person with a text of their own are left out, and what all images have alike.

    Returns
    -------
    pandas.DataFrame
        As `cohort_table` gives it.
    """
    people = scans.drop_duplicates("participant_id")
    columns = [
        name for name in columns if not (identifies(people[name]) or _same(name, people[name]))
    ]
    if cohort_counts(scans).by_scan:
        table = cohort_table(scans, scans["outcome"] == 1, columns)
        heads = ~table["column"].duplicated()
        untested = ("statistic", "p", "p_bonferroni", "p_fdr")
        notes = table["note"].mask(heads, SCANS_NOT_TESTED)
        table = table.assign(test="", note=notes, **dict.fromkeys(untested, float("nan")))
    else:
        table = cohort_table(people, people["outcome"] == 1, columns)
    return table.assign(column=table["column"].map(user_name))


def held_out_people(
    scans: pd.DataFrame, splits: pd.DataFrame, columns: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Compare those who were trained on with those who were held out, where there is one division.

    Parameters
    ----------
    scans
        A row per scan, as in cohort.tsv, sorted.
    splits
        Of the leading variant.
    columns
        To compare, beside the outcome, by their names in cohort.tsv.

    Returns
    -------
    dict
        ``held_out`` to the table, as `cohort_table` gives it, people by their first scan, and a
        row of all columns of numbers at once (`one_way_manova`, between all roles); empty where
        several folds hold people out, as everybody is then on both sides.
    """
    if len(splits[["repeat", "fold"]].drop_duplicates()) != 1:
        return {}
    role = dict(zip(splits["participant_id"], splits["role"], strict=True))
    people = scans.drop_duplicates("participant_id")
    people = people[people["participant_id"].map(role).notna()]
    people = people.assign(outcome=people["outcome"].astype(str))
    kept = [name for name in columns if not (identifies(people[name]) or _same(name, people[name]))]
    roles = people["participant_id"].map(role)
    table = cohort_table(people, roles != "test", ["outcome", *kept])
    table = table.assign(column=table["column"].map(user_name))
    together = _together(people[kept], roles)
    return {"held_out": pd.concat([table, together], ignore_index=True)[list(COLUMNS)]}


def _together(columns: pd.DataFrame, roles: pd.Series) -> pd.DataFrame:
    """Compare all columns of numbers at once between roles; no row where that cannot be.

    Its p stands for itself: it is not one of the columns that the corrections are over.
    """
    found = {name: numeric(columns[name]) for name in columns}
    numbers = pd.DataFrame(
        {
            name: values
            for name, values in found.items()
            if values is not None and values.nunique() >= FEWEST_NUMBERS
        }
    )
    there = numbers.notna().all(axis=1).to_numpy(bool)
    if numbers.shape[1] < 2:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    tested = one_way_manova(numbers[there].to_numpy(float), roles[there].to_numpy())
    if tested is None:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    held_out = (roles == "test").to_numpy(bool)
    groups = ", ".join(name for name in ("train", "validation", "test") if name in set(roles))
    row = {
        "column": ", ".join(user_name(str(name)) for name in numbers),
        "value": "all at once",
        "first": f"{int((there & ~held_out).sum())} people",
        "second": f"{int((there & held_out).sum())} people",
        "missing_first": int((~there & ~held_out).sum()),
        "missing_second": int((~there & held_out).sum()),
        "test": "MANOVA",
        "statistic": tested.f,
        "p": tested.p,
        "note": f"between {groups}; Wilks' lambda {tested.wilks:.3f}, F with {tested.df[0]:g} and "
        f"{tested.df[1]:.4g} degrees of freedom; p is not corrected",
    }
    return pd.DataFrame([row], columns=pd.Index(COLUMNS))


def _same(name: str, values: pd.Series) -> bool:
    """Whether it is a field of the images' sidecars that is the same in all of them."""
    return name.startswith(SIDECAR) and values.nunique(dropna=False) == 1


def identifies(values: pd.Series) -> bool:
    """Whether a column of texts differs between all people, as an identifier does."""
    there = values[~values.map(is_missing)]
    many = len(there) >= FEWEST_NUMBERS
    return many and reading_of(there).kind == "categories" and bool(there.is_unique)


def cohort_table(
    cohort: pd.DataFrame, first: np.ndarray | pd.Series, columns: Sequence[str]
) -> pd.DataFrame:
    """Compare the people of a first and a second group.

    Columns of numbers: mean (SD) and Welch's t test where both groups pass Shapiro-Wilk at .05,
    else median [quartiles] and Mann-Whitney. Columns of categories: counts, chi-square without
    continuity correction, Fisher's exact test where an expected count is below 5. The test is
    chosen by the data, so p values are approximate; the standardised difference does not depend on
    the size of the groups (Austin 2009, doi:10.1002/sim.3697; several categories: Yang & Dalton
    2012). Columns with at most five distinct numbers are categories.

    Parameters
    ----------
    cohort
        Text, as read; a row per person.
    first
        (n,) bool, True for the first group (positives, or people trained on).

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; a category has a row per value, its test on the first of them. The
        corrections are over the columns tested.
    """
    inside = np.asarray(first, dtype=bool)
    tables = [_column(name, cohort[name], inside) for name in columns]
    if not tables:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    table = pd.concat(tables, ignore_index=True)
    p = table["p"].to_numpy(dtype=float)
    corrected = table.assign(p_bonferroni=bonferroni(p), p_fdr=false_discovery_rate(p))
    return corrected[list(COLUMNS)]


def _column(name: str, values: pd.Series, inside: np.ndarray) -> pd.DataFrame:
    missing = values.map(is_missing).to_numpy(dtype=bool)
    reading, numbers = reading_of(values), numeric(values)
    measured = numbers is not None and numbers.nunique() >= FEWEST_NUMBERS
    if measured and numbers is not None:
        missing = missing | numbers.isna().to_numpy()
    lost = {
        "missing_first": int((missing & inside).sum()),
        "missing_second": int((missing & ~inside).sum()),
    }
    if reading.kind == "unclear":
        nan = float("nan")
        comparison = Comparison("", nan, nan, nan, unusable(values))
        records: list[dict[str, Any]] = [{"value": "not compared", "first": "", "second": ""}]
    elif measured and numbers is not None:
        known = numbers.to_numpy()
        a, b = known[inside & ~missing], known[~inside & ~missing]
        comparison = compare_numbers(a, b)
        form = _mean if comparison.test == "t" else _median
        records = [{"value": form.__doc__, "first": form(a), "second": form(b)}]
    else:
        text = values[~missing].astype(str).to_numpy()
        levels = np.unique(text)
        counts = np.array(
            [[(text[side] == level).sum() for level in levels] for side in _sides(inside, missing)]
        ).reshape(2, len(levels))
        comparison = compare_counts(counts)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        records = [
            {
                "value": level,
                "first": f"{counts[0, i]} ({share[0, i]:.0%})",
                "second": f"{counts[1, i]} ({share[1, i]:.0%})",
            }
            for i, level in enumerate(levels)
        ] or [{"value": "", "first": "0", "second": "0"}]
    test: dict[str, Any] = {
        "test": comparison.test,
        "statistic": comparison.statistic,
        "p": comparison.p,
        "standardised_difference": comparison.difference,
        "note": comparison.note,
    }
    records[0] = {**records[0], **test, **lost}
    return pd.DataFrame(records).assign(column=name)


def _sides(inside: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return inside[~missing], ~inside[~missing]


def _mean(values: np.ndarray) -> str:
    """mean (SD)"""  # noqa: D400, D403
    return f"{values.mean():.4g} ({values.std(ddof=1):.3g})"


def _median(values: np.ndarray) -> str:
    """median [quartiles]"""  # noqa: D400, D403
    if not len(values):
        return "n/a"
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.4g} [{low:.4g}, {high:.4g}]"


def compare_numbers(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Welch's t test or Mann-Whitney, by Shapiro-Wilk in both groups."""
    from scipy import stats

    nan = float("nan")
    if min(len(first), len(second)) < 2:
        return Comparison("", nan, nan, nan, "fewer than two values in a group")
    spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    if spread == 0:
        return Comparison("", nan, nan, nan, "no spread within the groups")
    difference = float((first.mean() - second.mean()) / spread)
    if all(_looks_normal(values) for values in (first, second)):
        result = stats.ttest_ind(first, second, equal_var=False)
        return Comparison("t", float(result.statistic), float(result.pvalue), difference)
    result = stats.mannwhitneyu(first, second)
    return Comparison("Mann-Whitney", float(result.statistic), float(result.pvalue), difference)


def _looks_normal(values: np.ndarray) -> bool:
    from scipy import stats

    return len(values) >= 3 and np.ptp(values) > 0 and stats.shapiro(values).pvalue >= _NORMAL_AT


def compare_counts(counts: np.ndarray) -> Comparison:
    """Chi-square without correction, or Fisher's exact test where an expected count is below 5.

    Parameters
    ----------
    counts
        (2, levels) people of each group with each value. Tables larger than 2 x 2 with small
        expected counts are tested by chi-square too, and the note says so.
    """
    from scipy import stats

    nan = float("nan")
    if counts.shape[1] < 2:
        return Comparison("", nan, nan, nan, "one value only")
    if (counts.sum(axis=1) == 0).any():
        return Comparison("", nan, nan, nan, "a group without values")
    difference = counts_difference(counts)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    small = bool((expected < _SMALL_EXPECTED).any())
    if small and counts.shape[1] == 2:
        exact = stats.fisher_exact(counts)
        return Comparison("Fisher", nan, float(exact.pvalue), difference)
    note = "an expected count is below 5" if small else ""
    return Comparison("chi-square", *chi_square(counts), difference, note)


def chi_square(counts: np.ndarray) -> tuple[float, float]:
    """Pearson's chi-square without continuity correction, and its p value."""
    from scipy import stats

    result = stats.chi2_contingency(counts, correction=False)
    return float(result.statistic), float(result.pvalue)


def counts_difference(counts: np.ndarray) -> float:
    """Standardised difference of two distributions over categories.

    Two values: ``(p1 - p2) / sqrt((p1 q1 + p2 q2) / 2)`` for the last of them; more: the
    Mahalanobis distance without sign. NaN where it has no finite value.
    """
    share = counts / counts.sum(axis=1, keepdims=True)
    gap = share[0, 1:] - share[1, 1:]
    covariance = np.zeros((len(gap), len(gap)))
    for p in share[:, 1:]:
        covariance += (np.diag(p) - np.outer(p, p)) / 2
    if np.linalg.matrix_rank(covariance) < len(gap):
        return float("nan")
    squared = float(gap @ np.linalg.solve(covariance, gap))
    return float(np.sign(gap[0])) * np.sqrt(squared) if len(gap) == 1 else float(np.sqrt(squared))

"""Does a column tell the classes apart by itself: then a network may have learned that instead."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.dataset.counts import cohort_counts
from bidsapp.dataset.covariates import SIDECAR, user_name, users_columns
from bidsapp.dataset.options_text import set_option
from bidsapp.dataset.reading import FEWEST_NUMBERS
from bidsapp.evaluation.comparisons import holm
from bidsapp.evaluation.estimates import auc_interval
from bidsapp.evaluation.image_flags import flag_title, is_flag
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.tsv import is_missing, numeric, unusable

COLUMNS = (
    *("column", "of_scanner", "kind", "n", "test", "p", "p_holm", "looked_at"),
    *("auc", "ci_low", "ci_high", "associated", "separates", "note"),
)
ALPHA = 0.05
# A column tells the classes apart (nearly) completely where its AUC is at least the first, and the
# lower limit of the AUC's interval above the second: with few people 1.00 proves little.
_NEARLY = 0.9
_AT_LEAST = 0.7
_SMALL_EXPECTED = 5
_DRAWS, _MANY_DRAWS = 9_999, 199_999
_CLEAR = 0.01  # above this p, many draws would tell no more
_MOST = 5
_REGION = re.compile(r"region_.+")
_SCANNER_WORDS = frozenset(
    {"site", "sites", "scanner", "scanners", "centre", "center", "hospital", "institution"}
    | {"institute", "clinic", "manufacturer", "vendor", "station", "magnet", "coil", "tesla"}
    | {"mri", "fieldstrength", "mrscanner", "mriscanner", "scannerid", "siteid", "studysite"}
)


def is_of_scanner(column: str) -> bool:
    """Tell whether a column of cohort.tsv is of the site, the scanner or the sequence.

    By the words of its name (``scanner``, ``site_id``, ``AcquisitionSite``), or as it comes from
    the images' sidecars.
    """
    if column.startswith(SIDECAR):
        return True
    parted = re.sub(r"([a-z])([A-Z])", r"\1 \2", user_name(column))
    words = {word for word in re.split(r"[^a-z]+", parted.lower()) if word}
    return bool(words & _SCANNER_WORDS) or {"field", "strength"} <= words


def separation_table(cohort: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Look at every column of the user's, of the images' sidecars and of flags, one by one.

    Numbers by their ranks: AUC, whichever way round, and Mann-Whitney's test. Categories by the
    share of positives in each: AUC on the very people, and Fisher's exact test, or chi-square,
    whose p is drawn at random (margins fixed) where an expected count is below 5. Of scanner and
    site, a missing value is a category of its own. Left out are regions, columns of one value, and
    those whose texts name nearly each person.

    Parameters
    ----------
    cohort
        As cohort.tsv; people are looked at, each by the first scan, or scans where the outcome
        differs between scans of a person, which are not tested.
    level
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`, a row per column that was looked at. `associated`: p below .05 after
        Holm's correction for all of them. `separates`: the AUC is at least .9 and its lower limit
        above .7 as well.
    """
    by_scan = cohort_counts(cohort).by_scan
    rows = cohort if by_scan else cohort.drop_duplicates("participant_id")
    truth = (pd.to_numeric(rows["outcome"]) == 1).to_numpy()
    person = np.unique(rows["participant_id"].astype(str), return_inverse=True)[1]
    records = []
    for name in users_columns(map(str, cohort.columns)):
        if _REGION.fullmatch(name):
            continue
        of_scanner = is_of_scanner(name) or is_flag(name)
        found = _column(rows[name], truth, of_scanner)
        if found is None:
            continue
        kind, scores, known, test, p = found
        interval = auc_interval(truth[known], scores[known], person[known], level)
        auc = _auc(truth[known], scores[known])
        records.append(
            (user_name(name), of_scanner, kind, int(known.sum()))
            + (("", np.nan) if by_scan else (test, p))
            + (auc, interval.low, interval.high, interval.note)
        )
    names = [name for name in COLUMNS if name not in ("p_holm", "looked_at", *_VERDICTS)]
    table = pd.DataFrame(records, columns=pd.Index(names))
    corrected = holm(table["p"].to_numpy(dtype=float))
    clear = (table["auc"] >= _NEARLY) & (table["ci_low"] > _AT_LEAST)
    associated = (corrected < ALPHA) | (by_scan & clear)
    return table.assign(
        p_holm=corrected,
        looked_at=len(table),
        associated=associated,
        separates=associated & clear,
    )[list(COLUMNS)]


_VERDICTS = ("associated", "separates")


def _column(
    values: pd.Series, truth: np.ndarray, of_scanner: bool
) -> tuple[str, np.ndarray, np.ndarray, str, float] | None:
    """Kind, score of each row, which rows have one, test and p; None for nothing to look at."""
    from scipy import stats

    missing = values.map(is_missing).to_numpy(dtype=bool)
    numbers = numeric(values)
    if numbers is not None and numbers.nunique() >= FEWEST_NUMBERS:
        scores = numbers.to_numpy()
        known = np.isfinite(scores)
        if not _both(truth[known]):
            return None
        p = float(stats.mannwhitneyu(scores[known & truth], scores[known & ~truth]).pvalue)
        if _auc(truth[known], scores[known]) < 0.5:
            scores = -scores
        return "numbers", scores, known, "Mann-Whitney", p
    if unusable(values):
        return None
    known = np.ones(len(values), bool) if of_scanner else ~missing
    texts = np.where(missing, "n/a", values.astype(str))
    levels, code = np.unique(texts[known], return_inverse=True)
    if len(levels) < 2 or not _both(truth[known]):
        return None
    sides = (truth[known], ~truth[known])
    counts = np.stack([np.bincount(code[side], minlength=len(levels)) for side in sides])
    scores = np.full(len(values), np.nan)
    scores[known] = (counts[0] / counts.sum(axis=0))[code]
    test, p = _test(counts)
    return "categories", scores, known, test, p


def _both(truth: np.ndarray) -> bool:
    return bool(truth.any() and not truth.all())


def _auc(truth: np.ndarray, scores: np.ndarray) -> float:
    from scipy.stats import rankdata

    m, n = int(truth.sum()), int((~truth).sum())
    return float((rankdata(scores)[truth].sum() - m * (m + 1) / 2) / (m * n))


def _test(counts: np.ndarray) -> tuple[str, float]:
    """Test (2, levels) counts of positives and negatives."""
    from scipy import stats

    if counts.shape[1] == 2:
        return "Fisher", float(stats.fisher_exact(counts).pvalue)
    result = stats.chi2_contingency(counts, correction=False)
    if (result.expected_freq >= _SMALL_EXPECTED).all():
        return "chi-square", float(result.pvalue)
    sizes, positives = counts.sum(axis=0), int(counts[0].sum())
    rng, p = np.random.default_rng(0), 1.0
    for draws, enough in ((_DRAWS, _CLEAR), (_MANY_DRAWS, 1.0)):
        drawn = rng.multivariate_hypergeometric(sizes, positives, draws)
        # with fixed margins, chi-square grows with the sum of squares over each category's size
        reached = (drawn**2 / sizes).sum(axis=1) >= (counts[0] ** 2 / sizes).sum() * (1 - 1e-9)
        p = float((1 + reached.sum()) / (1 + draws))
        if p > enough:
            break
    return "chi-square, drawn", p


def separation_sentences(table: pd.DataFrame, left_out: Sequence[str] = ()) -> list[str]:
    """Name the columns that tell the classes apart, those of scanner and site first.

    Parameters
    ----------
    table
        As `separation_table` gives it.
    left_out
        Columns that ``tables.same_as_outcome`` names already.
    """
    rows = table[table["separates"].astype(bool)]
    scanner, flag = rows["of_scanner"].astype(bool), rows["column"].map(is_flag).astype(bool)
    advice = {_SCANNER: scanner & ~flag, _FLAG: scanner & flag, "": ~scanner}
    sentences = []
    for words, those in advice.items():
        chosen = rows[those]
        if chosen.empty:
            continue
        chosen = chosen.sort_values("auc", ascending=False, kind="stable")
        extent = "completely" if (chosen["auc"] == 1).all() else "nearly completely"
        verb = "separates" if len(chosen) == 1 else "each separate"
        sentences.append(
            f"CONFOUND: {_listed(chosen)} {verb} positives from negatives {extent}. "
            f"{_looked_at(table)} {words or _advice(chosen, left_out)}"
        )
    return sentences


_SCANNER = (
    "The network may have learned the site, scanner, sequence or contrast agent in place of the "
    "outcome: in these people nothing can tell the two apart."
)

_FLAG = (
    "The network may have learned that, which it sees in the images, in place of the outcome: in "
    "these people nothing can tell the two apart."
)


def association_sentences(table: pd.DataFrame) -> list[str]:
    """Name columns of scanner and site that go with the outcome and do not separate the classes."""
    rows = table[~table["separates"].astype(bool)]
    rows = rows[rows["column"].isin(suspects(rows))]
    if rows.empty:
        return []
    verb = "goes" if len(rows) == 1 else "each go"
    return [
        f"{_listed(rows)} {verb} with the outcome. {_looked_at(table)} Networks will be compared "
        "with what it alone predicts."
    ]


def _advice(rows: pd.DataFrame, left_out: Sequence[str]) -> str:
    names = [*left_out, *map(str, rows["column"].head(_MOST))]
    return (
        "The network may have learned what goes with it in the images. If the outcome was made "
        "from that column, this is no fault: leave it out with "
        f"{set_option('tables.same_as_outcome', names)}."
    )


def _listed(rows: pd.DataFrame) -> str:
    some = []
    for _, row in rows.head(_MOST).iterrows():
        p = "not tested" if pd.isna(row["p_holm"]) else f"p {_p(float(row['p_holm']))}"
        limits = f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"
        name = str(row["column"])
        shown = f"{flag_title(name)}: {name}" if is_flag(name) else name
        some.append(f"{shown} (AUC by itself {row['auc']:.2f}, {limits}; {p}; n = {row['n']})")
    more = len(rows) - len(some)
    return ", ".join(some) + (f" and {more} more (tables/columns.tsv)" if more else "")


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _looked_at(table: pd.DataFrame) -> str:
    count = len(table)
    were = f"{count} columns were looked at" if count > 1 else "One column was looked at"
    if table["p"].isna().all():
        return f"{were}; scans of one person are not independent and not tested."
    return f"{were}; p is corrected for them (Holm)." if count > 1 else f"{were}."


def suspects(table: pd.DataFrame, without: Sequence[str] = ()) -> list[str]:
    """Columns of site, scanner and sequence that go with the outcome, as the user names them."""
    rows = table[table["of_scanner"].astype(bool) & table["associated"].astype(bool)]
    return [name for name in rows["column"] if name not in without]

"""What is a yes or no of how images came to be, as a removed face: columns beside the user's."""

import pandas as pd

from bidsapp.contracts.modality_tables import confound_flags

FLAG = "quality."
"""Stands before the name of such a column, which is no column of a file."""
_TEXTS = {1.0: "yes", 0.0: "no"}


def is_flag(column: str) -> bool:
    """Tell whether a column is one of these."""
    return column.startswith(FLAG) and column.removeprefix(FLAG) in confound_flags()


def flag_title(column: str) -> str:
    """Give the words of the measure that a column is of: ``Face removed``."""
    return confound_flags()[column.removeprefix(FLAG)]


def with_flags(cohort: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Put these columns behind those of a cohort, as texts: yes, no, n/a.

    Parameters
    ----------
    cohort
        A row per scan.
    measured
        The same scans; columns ``quality_<measure>`` are read, 1 or 0.
    """
    own = {
        FLAG + key: pd.to_numeric(measured[f"quality_{key}"], errors="coerce")
        for key in confound_flags()
        if f"quality_{key}" in measured
    }
    texts = {name: values.map(_TEXTS).fillna("n/a").to_numpy() for name, values in own.items()}
    return cohort.assign(**texts)


def flag_sentences(cohort: pd.DataFrame) -> list[str]:
    """Say which of these differ between scans, and how many of each class have them.

    Parameters
    ----------
    cohort
        As `with_flags` gives it.
    """
    truth = (pd.to_numeric(cohort["outcome"]) == 1).to_numpy()
    sentences = []
    for name in filter(is_flag, map(str, cohort.columns)):
        yes = (cohort[name] == "yes").to_numpy()
        if yes.any() and not yes.all():
            sentences.append(
                f"{flag_title(name)} ({name}): {(yes & truth).sum()} of {truth.sum()} positive and "
                f"{(yes & ~truth).sum()} of {(~truth).sum()} negative scans. A network sees it, "
                "and may tell people apart by it."
            )
    return sentences

"""The stamps LEAK, LEAK? (held-out people were, or may have been, seen) and SIMULATED on rows."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bidsapp.contracts.fitted import FittedStep, leaking, stamp_text
from bidsapp.evaluation.settings import EvaluationSettings

_NAMES = ("variant", "first", "second")


def stamp(table: pd.DataFrame, plan: EvaluationSettings) -> pd.DataFrame:
    """Put ``LEAK: <steps>`` (``LEAK?: <steps>``) before the note of rows of a variant that leaks.

    Rows are about what stands in their columns `variant`, `first` and `second`; tables without
    them depend on no model. The choice of the best fold is a leak where `scope` is ``best_fold``.
    A `note` column is made where there is none and one is needed. In a run into which a signal was
    planted, every row of every table says so.
    """
    table = _leaking(table, plan)
    if not plan.simulated or table.empty:
        return table
    notes = table["note"].fillna("") if "note" in table else [""] * len(table)
    return table.assign(note=["; ".join(filter(None, [plan.simulated, str(n)])) for n in notes])


def _leaking(table: pd.DataFrame, plan: EvaluationSettings) -> pd.DataFrame:
    about = [name for name in _NAMES if name in table]
    if table.empty or not about:
        return table
    leaks = {
        str(name): plan.of(str(name)).leaks for name in pd.unique(table[about].to_numpy().ravel())
    }
    chosen = table["scope"] == "best_fold" if "scope" in table else [False] * len(table)
    notes = table["note"].fillna("") if "note" in table else [""] * len(table)
    text = []
    for note, best, row in zip(notes, chosen, table[about].to_numpy(), strict=True):
        found = [step for name in row for step in leaks[str(name)]]
        steps = leaking(found, "scores") + (leaking(found, "best_fold") if best else ())
        text.append("; ".join(filter(None, [stamp_text(steps), note])))
    return table.assign(note=text) if any(text) else table


def leak_facts(steps: Iterable[FittedStep]) -> dict[str, Any]:
    """Give what a sidecar says of leaks; nothing where there is none."""
    text = stamp_text(steps)
    return {"Leak": text} if text else {}


def leak_notes(steps: Iterable[FittedStep]) -> list[str]:
    """Say of each step why it leaks."""
    return [f"{stamp_text([step])}: {step.why}" for step in steps]


def stamped(table: pd.DataFrame, stamp: str) -> pd.DataFrame:
    """Put the stamp into every row, in the column `leak`; as it is where there is no stamp."""
    return table.assign(leak=stamp) if stamp else table

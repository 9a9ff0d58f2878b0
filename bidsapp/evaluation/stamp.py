"""The stamps LEAK, LEAK? (held-out people were, or may have been, seen) and SIMULATED on rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.recipes.scope import network_leaks as network_leaks
from bidsapp.recipes.scope import stamp_text

_NAMES = ("variant", "first", "second")
_NOT_IN_SCORES = ("saliency.", "evaluation.best_fold")


def leaks_into_scores(leaks: Sequence[str]) -> list[str]:
    """Leaks that reach numbers made from scores: not those of saliency or of a chosen fold."""
    return [step for step in leaks if not step.startswith(_NOT_IN_SCORES)]


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
        steps = leaks_into_scores(found)
        steps += [step for step in found if best and step.startswith("evaluation.best_fold")]
        mark = stamp_text(dict.fromkeys(steps))
        text.append("; ".join(filter(None, [mark, note])))
    return table.assign(note=text) if any(text) else table


def leak_stamp(steps: Iterable[str]) -> str:
    """``LEAK: <steps>``, ``LEAK?: <steps>`` where they may have seen people; empty for none."""
    return stamp_text(steps)


def leak_facts(steps: Iterable[str]) -> dict[str, Any]:
    """Give what a sidecar says of leaks; nothing where there is none."""
    stamp = leak_stamp(steps)
    return {"Leak": stamp} if stamp else {}


def leak_notes(found: Mapping[str, str]) -> list[str]:
    """Say of each step why it leaks."""
    return [f"{stamp_text([step])}: {why}" for step, why in found.items()]


def stamped(table: pd.DataFrame, stamp: str) -> pd.DataFrame:
    """Put the stamp into every row, in the column `leak`; as it is where there is no stamp."""
    return table.assign(leak=stamp) if stamp else table

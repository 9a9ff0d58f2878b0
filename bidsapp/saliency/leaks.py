"""The stamp LEAK on maps and their tables: by which steps held-out people reached them."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bidsapp.recipes import Recipe, leaks
from bidsapp.recipes.scope import stamp_text

_OF_NETWORKS = ("representation.", "training.", "network.")


def network_leaks(recipe: Recipe) -> dict[str, str]:
    """List the steps by which held-out people reached the networks that are explained.

    Returns
    -------
    dict
        Step to reason, as `bidsapp.recipes.leaks` gives them; those of thresholds and of chosen
        folds are not among them, as they change no network.
    """
    return {step: why for step, why in leaks(recipe).items() if step.startswith(_OF_NETWORKS)}


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

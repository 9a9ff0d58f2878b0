"""Maps that an earlier run left, and maps that a run has yet to make."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bidsapp.derivatives import write_text
from bidsapp.errors import UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes import Recipe
from bidsapp.saliency.fold_maps import SHAPING

_UNFINISHED = "saliency_unfinished.txt"


def note_unfinished(folder: Path) -> None:
    """Write into a run's folder that its maps were asked for and are not made yet."""
    text = "Saliency maps were asked for and are not made yet; the same command makes them.\n"
    write_text(folder / _UNFINISHED, text)


def note_finished(folder: Path) -> None:
    """Take back `note_unfinished`: the maps are made, or no longer asked for."""
    (folder / _UNFINISHED).unlink(missing_ok=True)


def maps_unfinished(folder: Path) -> bool:
    """Tell whether a run stopped, or is still at work, before its maps were made."""
    return (folder / _UNFINISHED).is_file()


def require_same_maps(folder: Path, recipe: Recipe, variants: Sequence[str]) -> None:
    """Refuse a recipe that is not that of the maps which stay, as they would pass for its own.

    Parameters
    ----------
    folder
        Of the run, ``<out>/group/<label>``.
    recipe, variants
        What is asked for, with ``--no-saliency``.

    Raises
    ------
    UsageError
        A variant has maps that were made with other settings.
    """
    for name in variants:
        place = folder / "saliency" / name
        made, wanted = _settings_of(place), _plain(recipe.with_variant(name).saliency.plain())
        for key in SHAPING:
            if key in made and made[key] != wanted.get(key):
                raise UsageError(
                    f"{place} holds maps made with saliency.{key} {made[key]}, and {name} now asks "
                    f"for {wanted.get(key)}; with --no-saliency they would stay and pass for it. "
                    f"Leave out --no-saliency, or the change of saliency.{key}, or remove the maps."
                )


def _settings_of(place: Path) -> dict[str, Any]:
    """Read what the maps in a folder were made with; empty where there are none."""
    try:
        name = read_own_json(place / "summary.json")["default"]
        sidecar = place / f"{str(name).split('.')[0]}.json"
        return dict(read_own_json(sidecar)["Settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, which knows no tuples."""
    return dict(json.loads(json.dumps(values)))

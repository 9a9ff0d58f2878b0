"""An earlier run under the same label: what differs from it, and where it is kept."""

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import PART, PARTICIPANT, SESSION
from bidsapp.dataset.tables import read_frame
from bidsapp.derivatives.atomic import not_made
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NociCastError, NoInput, UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes import Recipe, load_recipe, reach_variants
from bidsapp.recipes.analysis import Ensemble
from bidsapp.recipes.folders import without_folders

# Keys that change no score: what follows from the scores is computed again with them.
_NO_SCORE = (
    *("evaluation", "saliency", "ensembles", "reported", "reference", "summary", "notes", "tables"),
    *("name", "base", "run", "variants"),
)
# What these change shows in the cohort's outcomes, if anywhere.
_IN_COHORT = ("outcome.negative", "outcome.missing")
_MOST = 8


def changes(
    folder: Path,
    recipe: Recipe,
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    weights: Path | None = None,
    images: pd.DataFrame | None = None,
) -> list[str]:
    """Say in what a finished run that lies in a folder differs from the one that is asked for.

    Nothing counts that the scores do not depend on, and nothing where a run is not finished:
    there is nothing to lose, and a run that was killed is resumed.

    Parameters
    ----------
    folder
        Of the run.
    recipe, cohort, splits
        What is asked for, the tables as they are about to be written.
    weights
        What ``--weights`` names, a file or a folder.
    images
        What is about to be written of the images of further preparations.

    Returns
    -------
    list of str
        One per difference; empty where the results may stay or be made again.
    """
    if not (folder / "scores.tsv").is_file():
        return []
    try:
        found = _recipe_changes(load_recipe(folder / "recipe.yaml"), recipe)
    except NociCastError:
        found = ["recipe.yaml: this version cannot read it"]
    found += _weights_changes(folder, recipe, weights)
    found += _cohort_changes(read_text_table(folder / "cohort.tsv"), cohort)
    found += [] if images is None else _image_changes(folder, images)
    if not found and _rows(read_text_table(folder / "splits.tsv")) != _rows(splits):
        found.append("splits: other people are trained on and tested together")
    return found


def set_aside(folder: Path) -> Path:
    """Move a finished run, whole, to a name of its own beside it.

    Returns
    -------
    Path
        Where it is now: the label with the time at which its scores were written.
    """
    written = time.localtime((folder / "scores.tsv").stat().st_mtime)
    stem = f"{folder.name}_{time.strftime('%Y%m%d-%H%M%S', written)}"
    target, count = folder.with_name(stem), 1
    while target.exists():
        count += 1
        target = folder.with_name(f"{stem}-{count}")
    try:
        os.rename(folder, target)
    except OSError as error:
        raise not_made(
            error,
            f"The earlier run {folder} cannot be moved to {target.name} ({error.strerror}); give "
            "this one a name of its own with --run-label.",
        ) from error
    return target


def same_scores(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    """Name the variants whose held-out scores are the same, to the digit, in two tables."""
    names = set(_texts(before, "variant")) & set(_texts(now, "variant"))
    return {name for name in names if _scores_of(before, name) == _scores_of(now, name)}


def forget_results(
    folder: Path, kept: Iterable[str] = (), ensembles: Mapping[str, Ensemble] | None = None
) -> None:
    """Take away models and maps of variants that are not among `kept`: they belong to no score.

    Maps of `ensembles` stay where all their variants are kept and they were joined in this way.
    Scores on permuted outcomes go if one of their variants is not kept; they are gathered again.

    Parameters
    ----------
    folder
        Of the run.
    kept
        Variants whose scores are the same as before.
    ensembles
        Those of the run that is asked for.
    """
    keep = set(kept)
    joined = {
        name
        for name, one in (ensembles or {}).items()
        if set(one.of) <= keep and _joined_so(folder / "saliency" / name, one)
    }
    permuted = folder / "permuted_scores.tsv"
    if permuted.is_file() and not set(_texts(read_text_table(permuted), "variant")) <= keep:
        permuted.unlink()
    for place in ("model", "saliency"):
        for old in sorted((folder / place).glob("*")):
            if old.name not in keep | joined and old.is_dir():
                shutil.rmtree(old, ignore_errors=True)


def _joined_so(place: Path, ensemble: Ensemble) -> bool:
    """Whether the maps in a folder are of these variants, joined by this rule."""
    try:
        joined = read_own_json(place / "summary.json")["joined"]
        return bool(joined == {"variants": list(ensemble.of), "rule": ensemble.rule})
    except (OSError, ValueError, KeyError, TypeError):
        return False


def require_run(folder: Path, overrides: Sequence[str] = (), variants: Sequence[str] = ()) -> None:
    """Refuse a folder without scores, naming the runs that have them; and settings not its own.

    Parameters
    ----------
    folder
        Of the run.
    overrides
        ``KEY=VALUE`` texts, as `bidsapp.recipes.load_recipe` takes them.
    variants
        Those that are asked for: an override may be theirs alone.

    Raises
    ------
    NoInput
        There is no such run, or it is not finished.
    UsageError
        `overrides`, ``KEY=VALUE`` each, would change what its recipe says.
    BadData
        It has scores of a variant that its recipe does not have.
    """
    if (folder / "scores.tsv").is_file():
        kept = load_recipe(folder / "recipe.yaml")
        asked = load_recipe(folder / "recipe.yaml", overrides, variants)
        asked, _ = reach_variants(asked, overrides, kept.selected()[0])
        if not _same_settings(asked, kept):
            raise UsageError(
                f"--evaluate-only computes with the settings of {folder / 'recipe.yaml'}, which "
                f"are not {', '.join(overrides)}. Leave these out, or leave out --evaluate-only: "
                "what is trained is not trained again."
            )
        _require_known_variants(folder / "scores.tsv", kept)
        return
    raise NoInput(
        f"--evaluate-only: {folder} holds no scores.tsv; {other_runs(folder, 'scores.tsv')}, or "
        "leave out --evaluate-only to train."
    )


def _same_settings(asked: Recipe, kept: Recipe) -> bool:
    """Compare recipes, less what a run records of its own accord.

    These are what counts as negative where nobody names it, and what its images were made with.
    """
    one, other = without_folders(asked.plain()), kept.plain()
    for section in (one["preparation"], other["preparation"]):
        for key in taken_keys(kept):
            section.pop(key.removeprefix("preparation."), None)
    if asked.outcome.negative is None:
        other["outcome"].pop("negative", None)
    return one == other


def other_runs(folder: Path, file: str = "recipe.yaml") -> str:
    """Say how to come to a run that is there, for a message that this folder holds none.

    Parameters
    ----------
    folder
        Where none was found.
    file
        What a run has to hold to be named.

    Returns
    -------
    str
        The beginning of a piece of advice, without its full stop.
    """
    runs = sorted(path.parent.name for path in folder.parent.glob(f"*/{file}"))
    if not runs:
        return f"no run under {folder.parent} does. Run the group level first"
    return f"these do: {', '.join(runs)}. Name one with --run-label"


def _require_known_variants(path: Path, recipe: Recipe) -> None:
    for line, name in enumerate(_texts(read_text_table(path), "variant"), start=2):
        if name and name not in recipe.variant_names:
            raise BadData(
                f"{path}: line {line}: variant {name!r} is none of recipe.yaml's "
                f"({', '.join(recipe.variant_names)}); correct it, or rerun the group level"
            )


def _recipe_changes(before: Recipe, recipe: Recipe) -> list[str]:
    old, new = before.selected()[0], recipe.selected()[0]
    lost = [name for name in old if name not in new]
    found = {f"variants: without {', '.join(lost)}": None} if lost else {}
    for name in (*old, *before.stages(old)):
        if name in (*new, *recipe.stages(new)):
            one, other = (
                _flat(without_folders(r.with_variant(name).model_dump(mode="json")))
                for r in (before, recipe)
            )
            of_images = taken_keys(recipe.with_variant(name))
            for key in sorted(one.keys() | other.keys()):
                unlike = one.get(key) != other.get(key)
                seen_there = key in _IN_COHORT or key in of_images
                if unlike and key.split(".")[0] not in _NO_SCORE and not seen_there:
                    found[f"{key}: {_said(one.get(key))} → {_said(other.get(key))}"] = None
    more = [f"and {len(found) - _MOST} more keys of the recipe"] if len(found) > _MOST else []
    return [*found][:_MOST] + more


def taken_keys(recipe: Recipe) -> set[str]:
    """List the keys that a run takes from its images, whose hashes the cohort holds."""
    return {f"preparation.{key}" for key in modality_named(recipe.preparation.modality).taken}


def _weights_changes(folder: Path, recipe: Recipe, weights: Path | None) -> list[str]:
    """Say which variants began with other pretrained weights, by what their bundles record."""
    from bidsapp.networks.weights import weights_file

    found = []
    for name in recipe.selected()[0]:  # of stages no bundle tells
        network = recipe.with_variant(name).network
        file = weights_file(network, weights)
        if file is None:
            continue
        try:
            path = folder / "model" / name / "configs" / "metadata.json"
            before = read_own_json(path)["initial_weights"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if before and before != file_sha256(file):
            found.append(f"--weights: {name} began with another file")
    return found


def _cohort_changes(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    old, new = (_people(table) for table in (before, now))
    both = old.keys() & new.keys()
    groups = {
        "no longer in it": old.keys() - new.keys(),
        "new in it": new.keys() - old.keys(),
        "another outcome": {key for key in both if old[key][0] != new[key][0]},
        "another image": {key for key in both if old[key][1] != new[key][1]},
        "another group": {key for key in both if old[key][2] != new[key][2]},
    }
    found = []
    for what, keys in groups.items():
        if keys:
            names = [" ".join(part for part in key if part) for key in sorted(keys)]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            found.append(f"cohort: {what}: {', '.join(names[:3])}{more}")
    return found


def _image_changes(folder: Path, now: pd.DataFrame) -> list[str]:
    """Say whose images of further preparations are others, of the variants of both runs."""
    before = read_text_table(folder / "preparations.tsv")
    old, new = (
        {(name, *key): row[1] for name, key, row in _by_variant(table)} for table in (before, now)
    )
    other = sorted({key[0] for key in old.keys() & new.keys() if old[key] != new[key]})
    return [f"{name}: another image of somebody" for name in other]


def _by_variant(table: pd.DataFrame) -> Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    for name in dict.fromkeys(_texts(table, "variant")):
        for key, row in _people(table[table["variant"] == name]).items():
            yield name, key, row


def _people(table: pd.DataFrame) -> dict[tuple[str, ...], tuple[str, ...]]:
    columns = (PARTICIPANT, SESSION, PART, "outcome", "sha256", "group")
    rows = zip(*(_texts(table, name) for name in columns), strict=True)
    return {tuple(row[:3]): tuple(row[3:]) for row in rows}


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    if column not in table:
        return [""] * len(table)
    return ["" if pd.isna(v) or v == "n/a" else str(v) for v in table[column]]


def _rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = ("variant", "repeat", "fold", "participant_id", "role")
    return sorted(zip(*(_texts(table, name) for name in columns), strict=True))


def _scores_of(table: pd.DataFrame, variant: str) -> list[tuple[str, ...]]:
    columns = (PARTICIPANT, SESSION, PART, "repeat", "fold", "outcome", "probability")
    own = table[table["variant"] == variant]
    return sorted(zip(*(_texts(own, name) for name in columns), strict=True))


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a table of the app's as text; one that is not there is empty."""
    try:
        return read_frame(path)
    except (OSError, ValueError):
        return pd.DataFrame()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _said(value: Any) -> str:
    return "not set" if value is None else str(value)

"""From a name or file to a Recipe, and back to text."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bidsapp.errors import NoInput, UsageError
from bidsapp.intake.regular import open_regular
from bidsapp.intake.yamltext import read_yaml, write_yaml
from bidsapp.recipes.catalog import packaged
from bidsapp.recipes.folders import without_folders
from bidsapp.recipes.messages import problems_of, quoted, usage_error
from bidsapp.recipes.preparation import current_key
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.section import Impossible
from bidsapp.recipes.values import EARLIER

LARGEST_BYTES = 1_000_000
# Parts of a key that name a step: representation.fitted.<step>.
_STEP = 3


def load_recipe(
    name_or_file: str | Path, overrides: Sequence[str] = (), variants: Sequence[str] = ()
) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    name_or_file
        Name of a recipe that comes with the app, or a YAML file.
    overrides
        ``KEY=VALUE`` texts that change single values: a dotted key, and a value in YAML
        (``representation.channels=[t1w, log_jacobian]``). Of two for the same key the later wins.
    variants
        Those that are run: an override that the recipe's base cannot have, and that is not run, is
        theirs alone. One of a step that the base does not have is of those that have it.

    Returns
    -------
    Recipe
        The recipe, valid in all its variants.

    Raises
    ------
    UsageError
        The name is unknown, the file is not a recipe, or an override does not fit; the message
        names the key.
    NoInput
        The file is not there or cannot be read.
    """
    path = _find(name_or_file)
    known = packaged()
    source = f"recipe {path.stem}" if known.get(path.stem) == path else f"recipe {path}"
    values = read_yaml(_read(path), source)
    if not isinstance(values, dict):
        kind = "empty" if values is None else f"a {_kind(values)}"
        raise UsageError(f"{source}: expected a section of key: value lines, the file is {kind}")
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise usage_error(source, problems_of(error, Recipe)) from None
    texts = {_today(_parse(override)[0]): override for override in overrides}
    values, texts = _of_steps(recipe, values_of(overrides), texts, variants)
    try:
        return _applied(recipe, values, source, texts)
    except UsageError:
        try:
            return recipe.with_values(_of_variants(recipe, values, variants))
        except (UsageError, ValueError):
            pass
        _say_who_has_the_step(recipe, values, variants, source)
        raise


def _of_variants(
    recipe: Recipe, values: Mapping[str, Any], variants: Sequence[str]
) -> dict[str, Any]:
    """Hand values that the base cannot have to the variants that are run, and their stages."""
    run, _ = recipe.selected(variants)
    names = [name for name in (*run, *recipe.stages(run)) if name != recipe.base]
    if recipe.base in run or not variants:
        return dict(values)
    found: dict[str, Any] = {}
    for key, value in values.items():
        try:
            recipe.with_values({key: value})
            found[key] = value
        except ValueError:
            found |= {f"variants.{name}.{key}": value for name in names}
    return found


def _of_steps(
    recipe: Recipe, values: Mapping[str, Any], texts: Mapping[str, str], variants: Sequence[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Hand what sets a step to the variants that are run and have it, where the base has not."""
    found, told = dict[str, Any](), dict(texts)
    for key, value in values.items():
        having = having_step(recipe, key)
        if having:
            run, _ = recipe.selected(variants)
            names = (*run, *recipe.stages(run))
            having = [name for name in names if name in having]
        if not having:
            found[key] = value
        for name in having:
            found[f"variants.{name}.{key}"] = value
            told[f"variants.{name}.{key}"] = texts[key]
    return found, told


def having_step(recipe: Recipe, key: str) -> list[str]:
    """Name the variants that have the fitted step that a key sets, where the base has it not."""
    parts = key.split(".")
    step = ".".join(parts[:_STEP])
    if len(parts) <= _STEP or not step.startswith("representation.fitted."):
        return []
    own = {name: recipe.with_variant(name).representation.fitted for name in recipe.variant_names}
    having = [name for name, steps in own.items() if steps.get(parts[_STEP - 1]) is not None]
    return [] if recipe.base in having else having


def _say_who_has_the_step(
    recipe: Recipe, values: Mapping[str, Any], variants: Sequence[str], source: str
) -> None:
    """Raise UsageError where a key sets a step that none of the variants to be run has."""
    run, _ = recipe.selected(variants)
    for key in values:
        having = having_step(recipe, key)
        if having and not set(having) & set(run):
            step = key.split(".")[_STEP - 1]
            raise UsageError(
                f"{source}: {key}: {', '.join(run)} {'have' if len(run) > 1 else 'has'} no step "
                f"{step}; it is of {', '.join(having)}: name what is to be run with --variants"
            )


def values_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Dotted keys and values of ``KEY=VALUE`` texts; of two for the same key the later wins."""
    changes: dict[str, Any] = {}
    for override in overrides:
        key, value = _parse(override)
        key = _today(key)
        changes.pop(key, None)
        changes[key] = value
    return changes


def apply_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Change single values of a recipe, with the checks of a file.

    Parameters
    ----------
    recipe
        The recipe to start from; it stays as it is.
    values
        Dotted keys to values; None takes a value away.

    Raises
    ------
    UsageError
        The result would not be a recipe; the message names the key.
    """
    return _applied(recipe, values, f"recipe {recipe.name}", {})


def dump_recipe(recipe: Recipe, *, folders: bool = False) -> str:
    """YAML with every value of a recipe, which `load_recipe` reads back to an equal one.

    Of files that were given by their whole path, an atlas for instance, only the name stays: what
    is written is handed on, and the folders would tell of people and machines. With `folders` they
    stay: for what does not leave the work folder.
    """
    plain = recipe.plain()
    return write_yaml(plain if folders else without_folders(plain))


def _applied(
    recipe: Recipe, values: Mapping[str, Any], source: str, texts: Mapping[str, str]
) -> Recipe:
    if not values:
        return recipe
    try:
        return recipe.with_values(values)
    except ValidationError as error:
        raise usage_error(source, problems_of(error, Recipe), texts) from None
    except Impossible as error:
        raise usage_error(source, error.problems, texts) from None
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from None


def _find(name_or_file: str | Path) -> Path:
    known = packaged()
    if isinstance(name_or_file, str) and name_or_file in known:
        return known[name_or_file]
    path = Path(name_or_file)
    is_name = isinstance(name_or_file, str) and path.suffix == "" and path.name == name_or_file
    if is_name and not path.is_file():
        lower = {name.lower(): name for name in known}
        near = difflib.get_close_matches(path.name.lower(), lower, n=1)
        hint = f"did you mean {lower[near[0]]}? Known:" if near else "known:"
        raise UsageError(
            f"unknown recipe {name_or_file!r}; {hint} {', '.join(known)}; "
            "or give the path of a YAML file"
        )
    if not path.exists() and path.suffix and path.name == str(name_or_file):
        near = difflib.get_close_matches(path.stem.lower(), {name.lower() for name in known}, n=1)
        if near:
            raise NoInput(
                f"recipe {path}: no such file; the recipe that comes with the app is --recipe "
                f"{near[0]}"
            )
    return path


def _read(path: Path) -> str:
    if path.is_dir():
        raise NoInput(f"recipe {path}: this is a folder; give the YAML file in it")
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise NoInput(f"recipe {path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_BYTES:
        raise UsageError(f"recipe {path}: larger than {LARGEST_BYTES} bytes; not a recipe")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"recipe {path}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None


def _today(key: str) -> str:
    """Name of today of a dotted key, also of one under ``variants.<name>``."""
    if key in EARLIER:
        return EARLIER[key]
    if key.startswith("variants.") and key.count(".") > 1:
        head, name, rest = key.split(".", 2)
        return f"{head}.{name}.{EARLIER.get(rest, rest)}"
    return key


def _parse(override: str) -> tuple[str, Any]:
    key, equals, text = override.partition("=")
    key = current_key(key.strip())
    if not equals or not all(key.split(".")):
        raise UsageError(
            f"override {quoted(override)}: expected KEY=VALUE with a dotted key, "
            "such as training.epochs=5"
        )
    if text[:1] in (
        "`",
        "%",
        "@",
    ):  # YAML has no meaning for these; columns of expressions begin so
        return key, text
    return key, read_yaml(text, f"override {quoted(override)}")


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    return "line of text" if isinstance(value, str) else "single value"

"""The steps that a representation can fit, each offered by the one file that holds it."""

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from bidsapp.contracts.fitted import SCOPES, FittedStep
from bidsapp.errors import UsageError

FITTED = Path(__file__).parents[1] / "representation" / "fitted"
FURTHER = "NOCICAST_FITTED"
"""Environment variable: folders with files of further steps, separated as in PATH."""


@dataclass(frozen=True)
class FittedOffer:
    """What one step can be asked for.

    Every file of ``representation/fitted`` holds one as ``OFFER``, written with literals only, and
    a function ``build(asked)`` that gives the step unfitted. The file is read as text to learn
    what there is, so that recipes are checked without it, and imported when it is used.

    Attributes
    ----------
    name
        As the recipe's ``representation.fitted`` has it; the file's name.
    title
        In model cards: ``Z-score``.
    verb, found
        In methods texts, ``{verb} with {found} of the training fold``: ``standardised (z-score)``,
        ``mean and SD``.
    unit
        What one unit of the images is afterwards: ``standard deviation of the image``; empty where
        it stays what it was. A setting in braces stands for its value.
    higher, lower
        What a higher value says afterwards, and where a lower one is, in a sentence about maps:
        ``a stronger component``, ``a weaker component there``; empty where it says what it did.
    scopes
        On whose data it can be fitted; the first where the recipe says nothing.
    uses_outcome
        Whether it looks at the outcome.
    settings
        The keys that the recipe may set beside ``fit``, with their defaults. A tuple lists the
        choices, of which the first is the default.
    series
        Whether it takes series of volumes, however long each is.
    least
        Smallest value of settings that are numbers.
    chooses
        The setting that says how many channels it keeps of those given; empty where it keeps all
        or makes its own.
    files
        Settings that name an image of maps (X, Y, Z, C), which has to be there before any work.
    columns
        Settings that name columns of the cohort table, one or several, and whether new people must
        have them too.
    maps
        Whether it compares people value by value, so that it cannot take volumes of a series.
    found_words
        Setting and value to what texts add to `found`: ``{"voxels": {"nonzero": "over voxels that
        are not 0"}}``.
    """

    name: str
    title: str
    verb: str
    found: str
    unit: str = ""
    higher: str = ""
    lower: str = ""
    scopes: tuple[str, ...] = ("train_fold", "dataset")
    uses_outcome: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    series: bool = False
    least: Mapping[str, float] = field(default_factory=dict)
    chooses: str = ""
    files: tuple[str, ...] = ()
    columns: Mapping[str, bool] = field(default_factory=dict)
    maps: bool = False
    found_words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    file: Path = field(default=FITTED, compare=False)

    def scope_of(self, values: Mapping[str, Any]) -> str:
        """Say on whom it is fitted with these settings."""
        given = values.get("fit")
        return given if given in self.scopes else self.scopes[0]

    def settled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give every setting, those that the recipe leaves open at their default."""
        usual = {k: v[0] if isinstance(v, tuple) else v for k, v in self.settings.items()}
        return usual | {key: value for key, value in values.items() if key in usual}

    def problems(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Say what of a recipe's settings this step does not understand: key and text."""
        for key, value in values.items():
            if key == "fit":
                known: Any = self.scopes
            elif key in self.settings:
                known = self.settings[key]
            else:
                yield key, f"{self.name} has no such setting; it has {', '.join(self._keys)}"
                continue
            if isinstance(known, tuple):
                if value not in known:
                    yield key, f"should be {' or '.join(map(str, known))}, got {value!r}"
            elif type(value) is not type(known) and not (
                isinstance(known, float) and type(value) is int
            ):
                yield key, f"should be like {known!r}, got {value!r}"
            elif key in self.least and not value >= self.least[key]:
                yield key, f"should be at least {self.least[key]}, got {value!r}"

    @property
    def _keys(self) -> tuple[str, ...]:
        return ("fit", *self.settings)


@dataclass(frozen=True)
class AskedStep:
    """A step as a recipe asks for it.

    Attributes
    ----------
    key
        Dotted key that names it, and its scope in stamps.
    name
        Of the offer.
    scope
        On whose data it is fitted.
    settings
        Every setting of the offer, with its value.
    """

    key: str
    name: str
    scope: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def offer(self) -> FittedOffer:
        """The offer of this name."""
        return fitted_offers()[self.name]

    def declares(self) -> FittedStep:
        """Say what is fitted, and on whom."""
        offer = self.offer
        what = "images and outcomes" if offer.uses_outcome else "images"
        seen = {
            "dataset": f"the held-out {what}",
            "test_fold": f"the {what} of the fold that is scored",
        }.get(self.scope)
        return FittedStep(
            name=f"{self.key}: {self.scope}",
            scope=self.scope,
            uses_outcome=offer.uses_outcome,
            reason=f"{seen} enter {self.found}" if seen else "",
        )

    @property
    def unit(self) -> str:
        """What one unit of the images is afterwards; empty where it stays what it was."""
        return self.offer.unit.format_map(self.settings)

    @property
    def files(self) -> dict[str, Path]:
        """Files that its settings name, by the setting; the current folder where none is named."""
        return {name: Path(str(self.settings[name])) for name in self.offer.files}

    def require_enough(self, there: int, what: str) -> None:
        """Refuse a step that is to keep more channels than there are.

        Parameters
        ----------
        there
            How many.
        what
            Of what, for the message.

        Raises
        ------
        UsageError
            With the key, both numbers, and what to do.
        """
        setting = self.offer.chooses
        if setting and int(self.settings[setting]) > there:
            raise UsageError(
                f"representation.fitted.{self.name}.{setting} is {self.settings[setting]}, and "
                f"there are {there} {what}; set {there} at most"
            )

    @property
    def columns(self) -> dict[str, bool]:
        """Columns of the cohort table that its settings name, and whether new people need them."""
        found: dict[str, bool] = {}
        for setting, needed in self.offer.columns.items():
            given = self.settings[setting]
            names = [given] if isinstance(given, str) else given
            found |= {str(name): needed for name in names if name}
        return found

    @property
    def found(self) -> str:
        """Say what is found with these settings."""
        words = self.offer.found_words.items()
        more = [told.get(str(self.settings.get(name)), "") for name, told in words]
        if self.offer.columns:
            given = {
                k: ", ".join(v) if isinstance(v, list) else v for k, v in self.settings.items()
            }
            more.append(f"({'; '.join(f'{key}: {text}' for key, text in given.items() if text)})")
        return " ".join([self.offer.found, *filter(None, more)])

    @property
    def words(self) -> str:
        """Say in a methods text what is done to the images."""
        return f"{self.offer.verb} with {self.found} of {SCOPES[self.scope]}"

    @property
    def on_card(self) -> str:
        """Say in a line of a model card what is done to the images."""
        kept = "" if self.scope == "image" else ", kept with each model"
        kept = " (LEAK)" if self.declares().leaks else kept
        return f"{self.offer.title}: {self.found} of {SCOPES[self.scope]}{kept}"


def fitted_offers() -> Mapping[str, FittedOffer]:
    """List every step that there is, by name; nothing is imported."""
    further = os.environ.get(FURTHER, "")
    return _offers((FITTED, *(Path(part) for part in further.split(os.pathsep) if part)))


def module_of(offer: FittedOffer) -> ModuleType:
    """Import the file of a step."""
    name = f"bidsapp.representation.fitted.{offer.name}"
    there = sys.modules.get(name)
    if there is not None and there.__file__ == str(offer.file):
        return there
    spec = importlib.util.spec_from_file_location(name, offer.file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{offer.file} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cache
def _offers(folders: tuple[Path, ...]) -> Mapping[str, FittedOffer]:
    files = (path for folder in folders for path in sorted(folder.glob("[a-z]*.py")))
    return MappingProxyType({offer.name: offer for offer in map(_read_offer, files)})


def _read_offer(path: Path) -> FittedOffer:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "OFFER":
            call: Any = node.value
            values = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
            return FittedOffer(**values, file=path)
    raise TypeError(f"{path} says nothing of its step: OFFER = FittedOffer(...) is missing")

"""Columns of the cohort table as numbers for a model: filled, scaled and encoded in the fold."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from bidsapp.contracts.fitted import FittedStep
from bidsapp.dataset.covariates import users_column
from bidsapp.dataset.missing import is_missing
from bidsapp.dataset.numbers import number_of
from bidsapp.errors import BadData
from bidsapp.intake.json_text import parse_json

FEWEST = 5
"""Categories of fewer training people are taken together: a model's file names none of them."""
_LEAST = 1e-9
_MISSING = "missing"
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class NumberColumn:
    """How one column of numbers is filled and scaled.

    Attributes
    ----------
    fill
        What stands for a missing value: the median of the training people.
    mean, sd
        Of the training people, missing values filled.
    absent
        Mean and SD of a second column that is 1 where the value is missing; None where no training
        person lacks one.
    """

    fill: float
    mean: float
    sd: float
    absent: tuple[float, float] | None = None


@dataclass(frozen=True)
class CategoryColumn:
    """How one column of texts is encoded.

    Attributes
    ----------
    levels
        Texts of at least `FEWEST` training rows, sorted; each makes a column of 0 and 1. That
        nothing is known is one of them, ``missing``.
    others
        Whether a last column stands for all other texts, where training has such; else they are 0
        everywhere.
    """

    levels: tuple[str, ...]
    others: bool


@dataclass(frozen=True)
class TableDesign:
    """Columns that a model is given, and how they become numbers; fitted on training people.

    Attributes
    ----------
    names
        As the user names them.
    key
        Of the recipe that asks for them, for stamps.
    columns
        After `fit`, one for each name.
    """

    names: tuple[str, ...] = ()
    key: str = "network.covariates"
    columns: tuple[NumberColumn | CategoryColumn, ...] = ()

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted."""
        return (FittedStep(self.key, "train_fold"),) if self.names else ()

    @property
    def width(self) -> int:
        """How many numbers it gives a row."""
        return sum(len(names) for names in self._parts())

    @property
    def labels(self) -> tuple[str, ...]:
        """Name each number: ``age``, ``age missing``, ``sex = F``, ``sex, other``."""
        return tuple(name for part in self._parts() for name in part)

    def fit(
        self,
        table: Mapping[str, Sequence[str]],
        rows: Sequence[int] | np.ndarray,
        numbers: Collection[str] | None = None,
    ) -> Self:
        """Fit on some rows, and look at no other.

        Parameters
        ----------
        table
            Columns of the cohort table as text, by their names there.
        rows
            Row numbers of the training people.
        numbers
            Names of the columns of numbers; by default those of which at least nine tenths of
            the training people's values are numbers.
        """
        found: list[NumberColumn | CategoryColumn] = []
        for name in self.names:
            texts = [_text(self._column(table, name)[row]) for row in rows]
            known = [text for text in texts if text]
            values = np.array([_number(text) for text in texts])
            most = np.isfinite(values).sum() >= max(1.0, _NEARLY_ALL * len(known))
            is_number = most if numbers is None else name in numbers
            found.append(_number_column(values) if is_number else _category_column(texts))
        return replace(self, columns=tuple(found))

    def numbers(self, table: Mapping[str, Sequence[str]], count: int) -> np.ndarray:
        """Give the numbers of each row: float64, (count, width).

        Values of all columns of numbers first, then where they are missing, then the categories.
        """
        values, absent, categories = [], [], []
        for name, column in zip(self.names, self.columns, strict=True):
            texts = [_text(text) for text in self._column(table, name)]
            if isinstance(column, CategoryColumn):
                named = [text or _MISSING for text in texts]
                one = np.array([[t == level for level in column.levels] for t in named], float)
                one = one.reshape(count, len(column.levels))
                if column.others:
                    one = np.column_stack([one, 1 - one.sum(axis=1)])
                categories.append(one)
                continue
            found = np.array([_number(text) for text in texts])
            lacking = ~np.isfinite(found)
            values.append((np.where(lacking, column.fill, found) - column.mean) / column.sd)
            if column.absent is not None:
                absent.append((lacking - column.absent[0]) / column.absent[1])
        parts = [*(one.reshape(count, 1) for one in (*values, *absent)), *categories]
        return np.concatenate([np.empty((count, 0)), *parts], axis=1)

    def lacking(self, table: Mapping[str, Sequence[str]], row: int) -> list[str]:
        """Name the columns of which a row has no value that the model can use."""
        found = []
        for name, column in zip(self.names, self.columns, strict=True):
            text = _text(self._column(table, name)[row])
            number = isinstance(column, NumberColumn)
            if not text or (number and not np.isfinite(_number(text))):
                found.append(name)
        return found

    def plain(self) -> list[dict[str, Any]]:
        """As JSON has it, an entry for each column."""
        return [
            {"column": name, "kind": _kind(column), **asdict(column)}
            for name, column in zip(self.names, self.columns, strict=True)
        ]

    def with_plain(self, told: Any) -> Self:
        """Give the design as it was when `plain` was given.

        Raises
        ------
        BadData
            It is of other columns, or holds what cannot be.
        """
        try:
            if [one["column"] for one in told] != list(self.names):
                raise BadData(f"{self.key}: columns are not {', '.join(self.names)}")
            return replace(self, columns=tuple(_read(one) for one in told))
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"{self.key}: what was fitted cannot be read: {error!r}") from error

    def state(self) -> dict[str, np.ndarray]:
        """Give what was fitted as an array of bytes (JSON)."""
        text = json.dumps(self.plain(), sort_keys=True).encode()
        return {"columns": np.frombuffer(text, np.uint8).copy()}

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the design as it was when `state` was given; raises as `with_plain`."""
        try:
            return self.with_plain(parse_json(state["columns"].astype(np.uint8).tobytes()))
        except (KeyError, ValueError) as error:
            raise BadData(f"{self.key}: what was fitted cannot be read: {error!r}") from error

    def _column(self, table: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
        place = name if name in table else users_column(table, name)
        if place is None or place not in table:
            raise BadData(f"column {name!r} ({self.key}) is not known for these people")
        return table[place]

    def _parts(self) -> list[list[str]]:
        pairs = list(zip(self.names, self.columns, strict=True)) if self.columns else []
        numbers = [(name, one) for name, one in pairs if isinstance(one, NumberColumn)]
        values = [[name] for name, _ in numbers]
        absent = [[f"{name} missing"] for name, one in numbers if one.absent is not None]
        categories = [
            [f"{name} = {level}" for level in one.levels] + [f"{name}, other"] * one.others
            for name, one in pairs
            if isinstance(one, CategoryColumn)
        ]
        return [*values, *absent, *categories]


def _text(value: object) -> str:
    text = "" if value is None or value != value else str(value).strip()
    return "" if is_missing(text) else text


def _number(text: str) -> float:
    found = number_of(text) if text else None
    return float("nan") if found is None or not np.isfinite(found) else float(found)


def _spread(values: np.ndarray) -> float:
    """Give the SD, or 1 where nothing varies."""
    sd = float(values.std())
    return sd if sd > _LEAST else 1.0


def _number_column(values: np.ndarray) -> NumberColumn:
    known = np.isfinite(values)
    fill = float(np.median(values[known])) if known.any() else 0.0
    filled = np.where(known, values, fill)
    absent = None
    if not known.all():
        lacking = (~known).astype(float)
        absent = (float(lacking.mean()), _spread(lacking))
    return NumberColumn(fill, float(filled.mean()), _spread(filled), absent)


def _category_column(texts: Sequence[str]) -> CategoryColumn:
    counts = Counter(text or _MISSING for text in texts)
    levels = tuple(sorted(text for text, n in counts.items() if n >= FEWEST))
    return CategoryColumn(levels, len(levels) < len(counts))


def _kind(column: NumberColumn | CategoryColumn) -> str:
    return "number" if isinstance(column, NumberColumn) else "category"


def _read(one: Mapping[str, Any]) -> NumberColumn | CategoryColumn:
    if one["kind"] == "category":
        return CategoryColumn(tuple(map(str, one["levels"])), bool(one["others"]))
    absent = one["absent"]
    pair = None if absent is None else (float(absent[0]), float(absent[1]))
    found = NumberColumn(float(one["fill"]), float(one["mean"]), float(one["sd"]), pair)
    whole = (found.fill, found.mean, found.sd, *(pair or ()))
    if not np.isfinite(whole).all() or found.sd <= 0 or (pair and pair[1] <= 0):
        raise ValueError(f"{one['column']}: {whole}")
    return found

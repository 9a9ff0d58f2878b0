"""The clinical part of a bundle: columns, and columns with the network's logit, fold by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from bidsapp.contracts.recalibration import EDGE
from bidsapp.errors import BadData
from bidsapp.representation.table_design import TableDesign

KEY = "evaluation.clinical"
ABOUT = (
    "Logistic regressions of clinical columns, and of them with the logit of the fold's network "
    "(both): how each column is filled, scaled and encoded, and the coefficients. Categories of "
    "fewer than five training people are taken together."
)


@dataclass(frozen=True)
class TableModel:
    """A logistic regression of columns and, where there is one, of a network's logit.

    Attributes
    ----------
    design
        How the columns become numbers.
    coefficients
        One for each of its numbers.
    intercept
        The log odds where everything is 0.
    logit
        Mean, SD and coefficient of the network's logit; None for the columns alone.
    """

    design: TableDesign
    coefficients: tuple[float, ...]
    intercept: float
    logit: tuple[float, float, float] | None = None

    def probability(
        self, table: Mapping[str, Sequence[str]], count: int, network: np.ndarray | None = None
    ) -> np.ndarray:
        """Give the probability of each row, (count,).

        Parameters
        ----------
        table
            Column to texts.
        count
            Rows.
        network
            (count,) probabilities of the fold's network.
        """
        odds = self.design.numbers(table, count) @ np.array(self.coefficients) + self.intercept
        if self.logit is not None:
            assert network is not None
            inside = np.clip(network, EDGE, 1 - EDGE)
            mean, sd, coefficient = self.logit
            odds = odds + coefficient * (np.log(inside) - np.log1p(-inside) - mean) / sd
        return np.asarray(np.exp(-np.logaddexp(0.0, -odds)))

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "columns": self.design.plain(),
            "coefficients": dict(zip(self.design.labels, self.coefficients, strict=True)),
            "intercept": self.intercept,
            "logit": None
            if self.logit is None
            else dict(zip(("mean", "sd", "coefficient"), self.logit, strict=True)),
        }

    @classmethod
    def of(cls, told: Mapping[str, Any], names: tuple[str, ...]) -> Self:
        """Read what `plain` gave."""
        design = TableDesign(names, KEY).with_plain(told["columns"])
        given = told["coefficients"]
        if set(given) != set(design.labels):
            raise BadData(f"coefficients are of {sorted(given)}, not of {list(design.labels)}")
        coefficients = tuple(float(given[label]) for label in design.labels)
        logit = told["logit"]
        three = logit and tuple(float(logit[name]) for name in ("mean", "sd", "coefficient"))
        found = cls(design, coefficients, float(told["intercept"]), three)
        if not np.isfinite([*coefficients, found.intercept, *(three or ())]).all():
            raise BadData("a coefficient is not finite")
        if three and three[1] <= 0:
            raise BadData("the SD of the logit is not above 0")
        return found


@dataclass(frozen=True)
class ClinicalPart:
    """What a bundle knows of clinical columns.

    Attributes
    ----------
    names
        The columns, as the user names them.
    folds
        (repeat, fold) to the model of the columns, and the one of columns and network.
    found
        What the run found that the scan adds, a sentence.
    """

    names: tuple[str, ...]
    folds: Mapping[tuple[int, int], tuple[TableModel, TableModel]]
    found: str = ""

    def answers(
        self, table: Mapping[str, Sequence[str]], per_model: np.ndarray, places: Sequence[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give the answers of the columns alone and of columns and scan.

        Parameters
        ----------
        table
            Column to the text of each row.
        per_model
            (N, M) probabilities of the fold networks that may be used.
        places
            (repeat, fold) of each of the M networks.

        Returns
        -------
        clinical, both
            (N,) means over the folds.
        """
        count = len(per_model)
        alone, joined = [], []
        for column, place in enumerate(places):
            clinical, both = self.folds[place]
            alone.append(clinical.probability(table, count))
            joined.append(both.probability(table, count, per_model[:, column]))
        return np.mean(alone, axis=0), np.mean(joined, axis=0)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        folds = [
            {"repeat": repeat, "fold": fold, "clinical": one.plain(), "both": both.plain()}
            for (repeat, fold), (one, both) in self.folds.items()
        ]
        return {"about": ABOUT, "columns": list(self.names), "found": self.found, "folds": folds}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read what `plain` gave.

        Raises
        ------
        BadData
            A key is missing, or a value cannot be.
        """
        try:
            names = tuple(map(str, told["columns"]))
            folds = {
                (int(one["repeat"]), int(one["fold"])): (
                    TableModel.of(one["clinical"], names),
                    TableModel.of(one["both"], names),
                )
                for one in told["folds"]
            }
            found = cls(names, folds, str(told.get("found", "")))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadData(f"the clinical part cannot be read: {error!r}") from error
        if any(a.logit is not None or b.logit is None for a, b in folds.values()):
            raise BadData("the clinical part cannot be read: a logit is missing, or one too many")
        return found

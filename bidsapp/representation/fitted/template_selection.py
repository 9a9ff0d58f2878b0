"""Components that look like named networks, more than they look like these flipped."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.errors import BadData
from bidsapp.representation.components.matching import match
from bidsapp.representation.components.selection import by_template
from bidsapp.representation.components.series import array_in
from bidsapp.representation.fitted.template_components import maps_on_grid, refuse_elsewhere

OFFER = FittedOffer(
    name="template_selection",
    title="Selection by a template",
    verb="selected",
    found="likeness to the template's maps, beside that to these maps flipped,",
    scopes=("train_fold", "dataset"),
    settings={"maps": "", "count": 8},
    least={"count": 1},
    chooses="count",
    files=("maps",),
    maps=True,
)


def build(asked: AskedStep) -> "TemplateSelection":
    """Give the step, unfitted."""
    return TemplateSelection(asked)


@dataclass(frozen=True)
class TemplateSelection:
    """Keep the channels whose mean map is most like a map of a template.

    Each channel goes with one map of the template (Hungarian, on ``|r|``). Only one that is more
    alike than any channel is to that map flipped can be kept; no outcome is looked at.

    Attributes
    ----------
    asked
        ``maps``, an image of named maps (X, Y, Z, R) in the space of the recipe, on any grid;
        ``count``: how many channels are kept.
    chosen_
        Their numbers among the channels given, ascending.
    r_, null_
        Of every channel given: ``|r|`` with its map of the template, and what that map reaches
        flipped; 0 where the template has no map left for it.
    """

    asked: AskedStep
    chosen_: np.ndarray | None = None
    r_: np.ndarray | None = None
    null_: np.ndarray | None = None

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted."""
        return (self.asked.declares(),)

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Name the channels that are kept."""
        if self.chosen_ is None:
            return given[: self._count]
        return tuple(given[number] for number in self.chosen_)

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> Self:
        """Match the mean maps of these people with the template's.

        Raises
        ------
        BadData
            There are fewer channels or maps of the template than are to be kept; a map has no
            value where the images lie; fewer channels than asked for are more like the template
            than like it flipped.
        """
        if images.space is None:
            raise BadData(f"{self.asked.key}: where the voxels of the images lie is not known")
        mean = np.sum([np.asarray(images[int(row)], np.float64) for row in rows], axis=0)
        mask = np.asarray(mean.any(axis=0))
        template = maps_on_grid(Path(str(self.asked.settings["maps"])), images.space)
        self.asked.require_enough(len(mean), "channels in the images")
        self.asked.require_enough(len(template), "maps in the template")
        refuse_elsewhere(template[:, mask], self.asked.files["maps"])
        found = match(mean[:, mask], template[:, mask], mask)
        r, null = np.zeros(len(mean)), np.zeros(len(mean))
        r[found.components], null[found.components] = np.abs(found.r), found.null
        try:
            chosen = by_template(found, self._count)
        except BadData as error:
            raise BadData(f"{self.asked.key}: {error}") from error
        return replace(self, chosen_=chosen, r_=r, null_=null)

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Give the channels that are kept."""
        assert self.chosen_ is not None
        for row in rows:
            yield np.asarray(images[int(row)], np.float32)[self.chosen_]

    def told(self, given: tuple[str, ...]) -> Mapping[str, Mapping[str, float]]:
        """Give how like the template each channel is, beside the flipped map, and who is kept."""
        assert self.chosen_ is not None
        assert self.r_ is not None
        assert self.null_ is not None
        kept = np.isin(np.arange(len(given)), self.chosen_)
        return {
            name: {"template_r": float(r), "template_null": float(null), "kept": float(own)}
            for name, r, null, own in zip(given, self.r_, self.null_, kept, strict=True)
        }

    def state(self) -> Mapping[str, np.ndarray]:
        """Give the numbers kept, and the likeness of all."""
        if self.chosen_ is None or self.r_ is None or self.null_ is None:
            return {}
        return {"chosen": self.chosen_, "r": self.r_, "null": self.null_}

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the step as it was when `state` was written."""
        chosen, r, null = (
            array_in(state, key, 1, self.asked.key) for key in ("chosen", "r", "null")
        )
        if len(r) != len(null) or not len(chosen) or min(chosen) < 0 or max(chosen) >= len(r):
            raise BadData(f"{self.asked.key}: its numbers are not those of channels")
        return replace(self, chosen_=chosen.astype(int), r_=r, null_=null)

    @property
    def _count(self) -> int:
        count: Any = self.asked.settings["count"]
        return int(count)

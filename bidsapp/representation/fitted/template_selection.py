"""Components that look like named networks, more than they look like these flipped."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.errors import BadData
from bidsapp.representation.components.kept_channels import KeptChannels
from bidsapp.representation.components.matching import match
from bidsapp.representation.components.selection import by_template
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
class TemplateSelection(KeptChannels):
    """Keep the channels whose mean map is most like a map of a template.

    Each channel goes with one map of the template (Hungarian, on ``|r|``). Only one that is more
    alike than any channel is to that map flipped can be kept; no outcome is looked at.

    ``maps`` of `asked` is an image of named maps (X, Y, Z, R) in the space of the recipe, on any
    grid. Numbers of every channel given: ``r``, which is ``|r|`` with its map of the template, and
    ``null``, what that map reaches flipped; 0 where the template has no map left for it.
    """

    columns: ClassVar[Mapping[str, str]] = {"r": "template_r", "null": "template_null"}

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
        return replace(self, chosen_=chosen, numbers_={"r": r, "null": null})

"""Group ICA of BOLD series in the fold, and each person's maps of its components."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.errors import BadData
from bidsapp.representation.components.component_maps import ComponentMaps
from bidsapp.representation.components.group_ica import group_ica
from bidsapp.representation.components.series import array_in, named, reduced
from bidsapp.representation.components.whitening import LARGEST_SQUARE, pair_products

OFFER = FittedOffer(
    name="group_ica",
    title="Group ICA",
    verb="turned into maps by dual regression",
    found="the components of a group ICA",
    unit="{values} of the dual regression",
    higher="a stronger component",
    lower="a weaker component there",
    series=True,
    scopes=("train_fold", "dataset"),
    settings={
        "components": 30,
        "reduction": 64,
        "values": ("z", "effect", "beta"),
        "starts": 10,
        "seed": 0,
    },
    least={"components": 1, "reduction": 1, "starts": 1, "seed": 0},
)


def build(asked: AskedStep) -> "GroupICA":
    """Give the step, unfitted."""
    return GroupICA(asked)


@dataclass(frozen=True)
class GroupICA(ComponentMaps):
    """Find components in the people it is fitted on, and anybody's maps of them.

    A person's reduction, and the products of two people's, hold nobody else: they are made once
    and kept for all folds. What a fold finds in them is its own, from its own random starts.

    Attributes
    ----------
    asked
        ``components``, ``reduction`` (of each person before), ``values`` of the maps, random
        ``starts`` and ``seed``.
    maps_
        float16, shape (C, V), z over the voxels, the most stable first.
    mask_
        Booleans, shape of the grid, V of them true: where a person fitted on has a series.
    stability_, variance_
        Quality index of each component over the starts, and its share of the people's reduced
        variance, shape (C,); see `GroupComponents`.
    settled_
        Whether the ICA converged.
    """

    stability_: np.ndarray | None = None
    variance_: np.ndarray | None = None
    settled_: bool = False

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Name the components, whatever the volumes are called."""
        return tuple(f"IC{number + 1:02d}" for number in range(self._setting("components")))

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> Self:
        """Find the components of these people.

        Raises
        ------
        BadData
            A series is too short; the people hold fewer components than are asked for.
        """
        components, reduction = self._setting("components"), self._setting("reduction")
        people = [int(row) for row in np.unique(rows)]
        whole = [self._reduced(images, row, reduction) for row in people]
        mask = np.zeros(whole[0].shape[1:], bool)
        for one in whole:
            mask |= np.asarray(one).any(axis=0)
        reductions = [np.asarray(one)[:, mask] for one in whole]

        def kept(i: int, j: int, make: Any) -> np.ndarray:
            return images.kept(f"pca{reduction}-pair", (people[i], people[j]), make)

        products = None
        voxels, stacked = int(mask.sum()), len(people) * reduction
        if stacked <= min(voxels, LARGEST_SQUARE):
            # over the whole grid, which all folds have in common; beyond the mask all is 0
            flat = [np.asarray(one).reshape(reduction, -1) for one in whole]
            products = pair_products(flat, kept) * (mask.size / voxels)
        try:
            found = group_ica(
                reductions,
                np.arange(len(people)),
                components,
                (self._setting("seed"), *people),
                starts=self._setting("starts"),
                products=products,
            )
        except ValueError as error:
            raise BadData(
                f"{self.asked.key}: {error}; ask for fewer, or for a larger reduction"
            ) from error
        return replace(
            self,
            maps_=found.maps.astype(np.float16),
            mask_=mask,
            stability_=found.stability,
            variance_=found.variance,
            settled_=found.settled,
        )

    def told(self, given: tuple[str, ...]) -> Mapping[str, Mapping[str, float]]:
        """Give the stability of each component, and its share of the variance."""
        assert self.stability_ is not None
        assert self.variance_ is not None
        found = zip(self.channels(given), self.stability_, self.variance_, strict=True)
        return {
            name: {"stability": float(stability), "variance": float(variance)}
            for name, stability, variance in found
        }

    def state(self) -> Mapping[str, np.ndarray]:
        """Give maps, mask, stability and variance."""
        maps = super().state()
        if not maps:
            return {}
        assert self.stability_ is not None
        assert self.variance_ is not None
        return {
            **maps,
            "stability": self.stability_,
            "variance": self.variance_,
            "settled": np.array([self.settled_], np.uint8),
        }

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the step as it was when `state` was written."""
        key = self.asked.key
        maps, mask = array_in(state, "maps", 2, key), array_in(state, "mask", 3, key) > 0
        stability = array_in(state, "stability", 1, key)
        variance, settled = array_in(state, "variance", 1, key), array_in(state, "settled", 1, key)
        count = self._setting("components")
        sizes = (len(maps), len(stability), len(variance))
        if sizes != (count, count, count) or maps.shape[1] != mask.sum():
            raise BadData(f"{key}: its arrays are not those of {count} components")
        return replace(
            self,
            maps_=maps.astype(np.float16),
            mask_=mask,
            stability_=stability,
            variance_=variance,
            settled_=bool(settled.any()),
        )

    def _reduced(self, images: Images, row: int, components: int) -> np.ndarray:
        make = partial(_reduced_row, images, row, components)
        return images.kept(f"pca{components}", (row,), make)

    def _setting(self, name: str) -> Any:
        return self.asked.settings[name]


def _reduced_row(images: Images, row: int, components: int) -> np.ndarray:
    try:
        return reduced(np.asarray(images[row]), components)
    except BadData as error:
        raise named(images, row, error) from error

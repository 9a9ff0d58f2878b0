"""ComBat: what goes with the site, and with no covariate that is kept, is taken off each voxel."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.dataset.description import shortened
from bidsapp.dataset.groups import one_spelling
from bidsapp.dataset.missing import is_missing
from bidsapp.errors import BadData, UsageError
from bidsapp.intake.json_text import parse_json
from bidsapp.representation.combat import SiteEffects, fit_sites
from bidsapp.representation.components.series import array_in, named
from bidsapp.representation.table_design import TableDesign

OFFER = FittedOffer(
    name="combat",
    title="ComBat harmonisation",
    verb="harmonised between sites (ComBat, each voxel's mean and variance by site)",
    found="each site's shift and spread",
    scopes=("train_fold", "dataset"),
    settings={
        "site": "site",
        "covariates": [],
        "unseen": ("refuse", "pooled", "reference"),
        "reference": "",
        "fewest": 5,
    },
    columns={"site": False, "covariates": True},
    maps=True,
)
_ARRAYS = ("mean", "slopes", "shift", "scale")


def build(asked: AskedStep) -> "Combat":
    """Give the step, unfitted.

    Raises
    ------
    UsageError
        Settings contradict one another.
    """
    settings = asked.settings
    place = asked.key.removesuffix(".fit")
    by_reference, reference = settings["unseen"] == "reference", settings["reference"]
    if by_reference and not reference:
        raise UsageError(f"{place}.reference: required with unseen: reference; name the site")
    if reference and settings["unseen"] == "pooled":
        raise UsageError(
            f"{place}.unseen: pooled takes a new site as the mean of all sites, and with a "
            "reference images are made like that site's; use unseen: reference, or no reference"
        )
    if settings["fewest"] < 2:
        raise UsageError(f"{place}.fewest: a spread needs two people at least")
    return Combat(asked)


@dataclass(frozen=True)
class Combat:
    """Location and scale of each site, voxel by voxel and channel by channel.

    A voxel of a standard space is the same place in everybody, so that it has a mean and a spread
    of its own in each site; those of a channel's voxels are drawn towards one another, by empirical
    Bayes. Images in people's own spaces have no such places and are refused.

    Attributes
    ----------
    asked
        ``site`` and ``covariates`` name columns. ``unseen`` says what becomes of people whose site
        has fewer than ``fewest`` people among those fitted on, or is not known: they are refused,
        or their images stay as they are, as if they came from the mean of the sites (``pooled``)
        or from the ``reference`` site, which all others are made like.
    sites_
        Those that were fitted, in one spelling each.
    design_
        How covariates become numbers.
    effects_
        What was found, over all values of an image, (V,) in each row.
    shape_
        Of an image, (C, *space).
    """

    asked: AskedStep
    sites_: tuple[str, ...] = ()
    design_: TableDesign | None = None
    effects_: SiteEffects | None = None
    shape_: tuple[int, ...] = ()

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted."""
        return (self.asked.declares(),)

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Give the channels as they are."""
        return given

    def check(self, images: Images, train: np.ndarray, test: np.ndarray) -> None:
        """Refuse people whose site training would not know; see `ReadsColumns.check`."""
        columns = self._columns_of(images)
        sites = self._sites_of(columns, len(images))
        known = self._known([sites[row] for row in train])
        self._require_seen(sites, known, [*train, *test], columns)

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> Self:
        """Find what goes with each site; see `Fitted.fit`.

        Raises
        ------
        BadData
            A site is not known and ``unseen`` refuses it; fewer than two sites are known; images
            differ in shape, or lie in people's own spaces.
        """
        if images.space is not None and not images.space.common:
            raise BadData(
                f"{self._name}: images lie in people's own spaces, where a voxel is another place "
                "in each; it needs images of a standard space"
            )
        rows = np.sort(rows)
        columns = self._columns_of(images)
        sites = self._sites_of(columns, len(images))
        known = self._known([sites[row] for row in rows])
        self._require_seen(sites, known, [*rows], columns)
        kept = np.array([row for row in rows if sites[row] in known])
        design = self._design().fit(columns, kept)
        numbers = design.numbers(columns, len(images))[kept]
        shape = np.asarray(images[int(kept[0])]).shape
        block = int(np.prod(shape[1:]))

        def read() -> Iterator[np.ndarray]:
            for row in kept:
                yield self._flat(images, int(row), shape)

        code = np.array([known.index(sites[row]) for row in kept])
        blocks = [slice(k * block, (k + 1) * block) for k in range(shape[0])]
        try:
            found = fit_sites(read, code, numbers, blocks, self._reference_in(known))
        except BadData as error:
            raise BadData(f"{self._name}: {error}") from error
        single = SiteEffects(*(getattr(found, name).astype(np.float32) for name in _ARRAYS))
        return replace(self, sites_=tuple(known), design_=design, effects_=single, shape_=shape)

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Give these images without what goes with their site.

        Raises
        ------
        BadData
            A person's site was not fitted and ``unseen`` refuses it.
        """
        assert self.effects_ is not None
        assert self.design_ is not None
        columns = self._columns_of(images)
        sites = self._sites_of(columns, len(images))
        self._require_seen(sites, self.sites_, [*rows], columns)
        numbers = self.design_.numbers(columns, len(images))
        for row in rows:
            number = self.sites_.index(sites[row]) if sites[row] in self.sites_ else -1
            values = self._flat(images, int(row), self.shape_)
            made = self.effects_.harmonised(values, number, numbers[row])
            yield made.reshape(self.shape_).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Give what was found: the sites and the design as bytes (JSON), the effects as maps."""
        if self.effects_ is None or self.design_ is None:
            return {}
        text = json.dumps(list(self.sites_)).encode()
        found = {"sites": np.frombuffer(text, np.uint8).copy()} | self.design_.state()
        for name in _ARRAYS:
            array = getattr(self.effects_, name)
            lead = () if name == "mean" else (len(array),)
            found[name] = array.reshape(*lead, *self.shape_)
        return found

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take what `state` gave.

        Raises
        ------
        BadData
            An array is missing, or cannot be.
        """
        try:
            told = parse_json(np.asarray(state["sites"], np.uint8).tobytes())
            sites = tuple(map(str, told))
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"{self._name}: its sites cannot be read: {error!r}") from error
        design = self._design().with_state(state)
        mean = np.asarray(state.get("mean", np.empty(0)))
        arrays = [mean] + [array_in(state, name, mean.ndim + 1, self._name) for name in _ARRAYS[1:]]
        lead = [design.width, len(sites), len(sites)]
        wrong = [a.shape != (n, *mean.shape) for a, n in zip(arrays[1:], lead, strict=True)]
        if mean.ndim < 2 or any(wrong) or not (arrays[3] > 0).all():
            raise BadData(f"{self._name}: its maps are not those of {len(sites)} sites")
        flat = [mean.ravel(), *(array.reshape(len(array), mean.size) for array in arrays[1:])]
        return replace(
            self, sites_=sites, design_=design, effects_=SiteEffects(*flat), shape_=mean.shape
        )

    @cached_property
    def _name(self) -> str:
        return self.asked.key.removesuffix(".fit")

    def _design(self) -> TableDesign:
        wanted: Any = self.asked.settings["covariates"]
        return TableDesign(tuple(map(str, wanted)), f"{self._name}.covariates")

    def _columns_of(self, images: Images) -> dict[str, Sequence[str]]:
        found = {}
        for name in self.asked.columns:
            try:
                found[name] = images.column(name)
            except BadData:
                if self.asked.columns[name]:
                    raise
        for name in ("participant_id", "session_id"):
            try:
                found.setdefault(name, images.column(name))
            except BadData:
                continue
        return found

    def _sites_of(self, columns: Mapping[str, Sequence[str]], count: int) -> list[str]:
        """Give everybody's site in one spelling; empty where it is not known."""
        texts = columns.get(str(self.asked.settings["site"]), [""] * count)
        return ["" if is_missing(text) else one_spelling(text) for text in texts]

    def _known(self, sites: Sequence[str]) -> list[str]:
        """Name the sites that can be fitted, in the order of their names.

        Raises
        ------
        BadData
            There are fewer than two, or the reference is not among them.
        """
        fewest = int(self.asked.settings["fewest"])
        counts = Counter(filter(None, sites))
        known = sorted(site for site, count in counts.items() if count >= fewest)
        told = ", ".join(f"{site} {count}" for site, count in sorted(counts.items())) or "none"
        if len(known) < 2:
            raise BadData(
                f"{self._name}: two sites of {fewest} training people are needed, and column "
                f"{self.asked.settings['site']!r} has {told}"
            )
        if self._reference and self._reference not in known:
            raise BadData(
                f"{self._name}.reference: {self.asked.settings['reference']!r} is no site of "
                f"{fewest} training people; there are {told}"
            )
        return known

    @property
    def _reference(self) -> str:
        given = str(self.asked.settings["reference"])
        return one_spelling(given) if given else ""

    def _reference_in(self, known: Sequence[str]) -> int | None:
        return known.index(self._reference) if self._reference else None

    def _require_seen(
        self,
        sites: Sequence[str],
        known: Sequence[str],
        rows: Sequence[int],
        columns: Mapping[str, Sequence[str]],
    ) -> None:
        """Refuse people of sites that were not fitted, where the recipe says no more of them."""
        if self.asked.settings["unseen"] != "refuse":
            return
        strange = [row for row in rows if sites[row] not in known]
        if not strange:
            return
        who = columns.get("participant_id")
        people = [who[row] for row in strange] if who else [f"image {row}" for row in strange]
        names = sorted({sites[row] or "no site" for row in strange})
        raise BadData(
            f"{self._name}: {shortened(list(dict.fromkeys(people)), 3)}: {shortened(names, 4)} in "
            f"column {self.asked.settings['site']!r} is not among the sites with at least "
            f"{self.asked.settings['fewest']} training people ({shortened(list(known), 4)}). Say "
            f"what becomes of them: {self._name}.unseen: pooled leaves their images as they are, "
            "reference makes all sites like one and takes them as its own"
        )

    def _flat(self, images: Images, row: int, shape: tuple[int, ...]) -> np.ndarray:
        image = np.asarray(images[row], np.float64)
        if image.shape != shape:
            error = BadData(f"{self._name}: image of shape {image.shape}, others have {shape}")
            raise named(images, row, error)
        return image.ravel()

"""The fitted steps of a representation in a row: fitted on the rows they may see, applied, kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from bidsapp.contracts.fitted import (
    Fitted,
    FittedStep,
    Images,
    OfChannels,
    OfMaps,
    PerChannel,
    ReadsColumns,
    leaking,
)
from bidsapp.contracts.fitted_offers import module_of
from bidsapp.derivatives import atomic_path
from bidsapp.errors import BadData, UsageError
from bidsapp.recipes.images import Representation
from bidsapp.representation.image_rows import Applied, ImageRows, Restricted, materialised
from bidsapp.representation.table_design import TableDesign

Numbers = tuple[np.ndarray, np.ndarray]
_ROLES = {"train": "train_fold", "test": "test_fold"}


@dataclass(frozen=True)
class Chain:
    """Steps that are fitted one after the other, each on what the one before leaves.

    The last steps, as far as they only subtract and divide, are applied to batches on the device,
    after augmentation (`numbers`). All that come before are applied once and their images stored
    (`stored`).

    Attributes
    ----------
    steps
        In the order in which they are applied.
    columns
        Of the cohort table, which the network is given beside the images.
    any_length
        Whether as much comes out however many volumes a series has.
    """

    steps: tuple[Fitted, ...] = ()
    columns: TableDesign = field(default_factory=TableDesign)
    any_length: bool = False

    @classmethod
    def of(cls, section: Representation, covariates: Sequence[str] = ()) -> Self:
        """Build the steps that a recipe asks for, unfitted.

        Parameters
        ----------
        section
            The recipe's representation.
        covariates
            Its ``network.covariates``.

        Raises
        ------
        UsageError
            A setting does not fit, or a step declares a leak that its offer does not.
        """
        steps, wanted = [], section.asked()
        for asked in wanted:
            step: Fitted = module_of(asked.offer).build(asked)
            for told in leaking(step.declares()):
                if told != asked.declares():
                    raise UsageError(
                        f"{asked.key}: declares {told.name} ({told.scope}), which its offer does "
                        "not say, so that it would not be refused"
                    )
            steps.append(step)
        series = bool(wanted) and wanted[0].offer.series
        return cls(tuple(steps), TableDesign(tuple(covariates)), series)

    @property
    def at_once(self) -> tuple[Fitted, ...]:
        """The steps whose images are stored, and those before them."""
        last = [k for k, step in enumerate(self.steps) if not isinstance(step, PerChannel)]
        return self.steps[: last[-1] + 1] if last else ()

    @property
    def per_batch(self) -> tuple[PerChannel, ...]:
        """The steps that are applied to batches on the device."""
        rest = self.steps[len(self.at_once) :]
        return tuple(step for step in rest if isinstance(step, PerChannel))

    @property
    def reads_columns(self) -> tuple[ReadsColumns, ...]:
        """The steps that read columns of the cohort table."""
        return tuple(step for step in self.steps if isinstance(step, ReadsColumns))

    def declares(self) -> tuple[FittedStep, ...]:
        """Say of every step what is fitted, and on whom."""
        fitted = tuple(told for step in self.steps for told in step.declares())
        return fitted + self.columns.declares()

    def channels(self, given: Sequence[str]) -> tuple[str, ...]:
        """Name the channels that a network is given; before `fit` as many as there can be."""
        names = tuple(given)
        for step in self.steps:
            names = step.channels(names)
        return names

    def group_maps(self, given: Sequence[str]) -> dict[str, np.ndarray]:
        """Give the group's map that each channel is a person's copy of, by its name.

        Those of the last step that makes such channels, all of them, chosen or not by a step
        after it; nothing where no step does.
        """
        names, found = tuple(given), {}
        for step in self.steps:
            names = step.channels(names)
            if isinstance(step, OfMaps):
                found = dict(zip(names, step.group_maps(), strict=True))
        return found

    def told(self, given: Sequence[str]) -> dict[str, dict[str, float]]:
        """Give what the steps found of each channel, by its name: column to number."""
        names, found = tuple(given), dict[str, dict[str, float]]()
        for step in self.steps:
            if isinstance(step, OfChannels):
                for name, numbers in step.told(names).items():
                    found.setdefault(name, {}).update(numbers)
            names = step.channels(names)
        return found

    def fit(
        self,
        images: ImageRows,
        roles: Mapping[str, np.ndarray],
        outcome: np.ndarray,
        folder: Path | None = None,
    ) -> tuple[Self, ImageRows]:
        """Fit every step on the rows that it may see, and no others.

        Parameters
        ----------
        images
            Of the whole cohort, N rows.
        roles
            ``train``, ``validation`` and ``test`` to their row numbers.
        outcome
            0 or 1 for each row of the cohort.
        folder
            Where images may be stored that do not fit into memory; they go with the process.

        Returns
        -------
        chain, images
            The steps fitted, and the images of everybody with a role as `stored` gives them,
            under the row numbers of the cohort.
        """
        everybody = np.arange(len(images))
        whole = any(told.scope == "dataset" for told in self.declares())
        wanted = everybody if whole else np.unique(np.concatenate([*roles.values()]))
        fitted: list[Fitted] = []
        stored = images
        current: Images = images
        for step in self.steps:
            told = step.declares()
            rows = _visible(told, roles, everybody)
            seen = Restricted(current, rows, told[0])
            uses_outcome = any(one.uses_outcome for one in told)
            done = step.fit(seen, rows, outcome[rows] if uses_outcome else None)
            fitted.append(done)
            if isinstance(done, PerChannel):
                current = Applied(current, done)
            else:
                current = stored = materialised(done, current, wanted, folder)
        stored = replace(stored, columns=images.columns)
        return replace(self, steps=tuple(fitted), columns=self._columns(images, roles)), stored

    def check_columns(
        self, columns: Mapping[str, Sequence[str]], train: np.ndarray, test: np.ndarray
    ) -> None:
        """Refuse before any work what steps cannot do with these columns; see `ReadsColumns`.

        Parameters
        ----------
        columns
            Of the cohort table, as texts.
        train, test
            Row numbers of a fold.
        """
        rows = ImageRows(np.empty((len(next(iter(columns.values()))), 0)), columns=columns)
        for step in self.reads_columns:
            step.check(rows, train, test)

    def _columns(self, images: ImageRows, roles: Mapping[str, np.ndarray]) -> TableDesign:
        """Fit the columns on what may be seen of them."""
        if not self.columns.names:
            return self.columns
        rows = np.sort(roles["train"])
        seen = Restricted(images, rows, self.columns.declares()[0])
        return self.columns.fit({name: seen.column(name) for name in images.columns}, rows)

    def beside(self, images: ImageRows) -> np.ndarray | None:
        """Give the numbers of the columns for every image: float32, (N, K); None without columns.

        Raises
        ------
        BadData
            A column is not known for these people.
        """
        if not self.columns.names:
            return None
        return self.columns.numbers(images.columns, len(images)).astype(np.float32)

    def stored(self, images: ImageRows, folder: Path | None = None) -> ImageRows:
        """Give images as the steps leave them that are not applied to batches.

        Parameters
        ----------
        images
            Of anybody, as the cohort's array holds them.
        folder
            Where they may be stored if they do not fit into memory; they go with the process.

        Returns
        -------
        ImageRows
            Row by row the same people.
        """
        stored = images
        current: Images = images
        for step in self.at_once:
            if isinstance(step, PerChannel):
                current = Applied(current, step)
            else:
                current = stored = materialised(step, current, np.arange(len(images)), folder)
        return replace(stored, columns=images.columns)

    def numbers(self, images: Images, rows: np.ndarray) -> list[Numbers]:
        """Give what each step `per_batch` subtracts from and divides these images by.

        Parameters
        ----------
        images
            As `stored` gives them.
        rows
            Row numbers in them.

        Returns
        -------
        list
            A pair of float32 arrays of shape (rows, C) for each step.
        """
        found = []
        for step in self.per_batch:
            found.append(step.numbers(images, rows))
            images = Applied(images, step)
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Give what every step found, under its place: ``0.mean``."""
        return {
            f"{place}.{name}": np.ascontiguousarray(array)
            for place, step in enumerate(self.steps)
            for name, array in step.state().items()
        } | (self.columns.state() if self.columns.names else {})

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the chain as it was when `state` was given.

        Raises
        ------
        BadData
            The arrays are not those of these steps.
        """
        own: list[dict[str, np.ndarray]] = [{} for _ in self.steps]
        columns = self.columns.with_state(state) if self.columns.names else self.columns
        steps_only = {k: v for k, v in state.items() if not columns.names or k != "columns"}
        for key, array in steps_only.items():
            place, _, name = key.partition(".")
            if place not in map(str, range(len(own))):
                raise BadData(f"{key} belongs to no step that the recipe fits")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise BadData(f"{key} holds NaN or infinite numbers")
            own[int(place)][name] = array
        steps = (step.with_state(mine) for step, mine in zip(self.steps, own, strict=True))
        return replace(self, steps=tuple(steps), columns=columns)

    def check(self, channels: int) -> None:
        """Refuse numbers of steps `per_batch` that are not those of so many channels.

        Raises
        ------
        BadData
            Their number is another one.
        """
        given = len(Chain(self.at_once).channels(("?",) * channels))
        for step in self.per_batch:
            for name, array in step.state().items():
                if array.size not in (0, given):
                    told = step.declares()[0].name
                    raise BadData(f"{told}: {name} has {array.size} numbers, not {given}")

    def save(self, path: Path) -> None:
        """Write what was fitted (safetensors), whole or not at all."""
        from safetensors.numpy import save_file

        with atomic_path(path) as temporary:
            save_file(self.state(), temporary)

    def load(self, path: Path) -> Self:
        """Give the chain as it was when `save` wrote it.

        Raises
        ------
        BadData
            The file cannot be read, or is of other steps.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return self.with_state(load_file(path))
        except (OSError, SafetensorError, BadData) as error:
            raise BadData(f"{path.name}: {error}") from error


def _visible(
    told: Sequence[FittedStep], roles: Mapping[str, np.ndarray], everybody: np.ndarray
) -> np.ndarray:
    """Give the rows that a step may be fitted on, by what it declares."""
    scopes = {one.scope for one in told}
    if "dataset" in scopes:
        return everybody
    seen = [roles[role] for role, scope in _ROLES.items() if scope in scopes]
    return np.unique(np.concatenate([np.empty(0, int), *seen]))

"""What is fitted or chosen, and on whose data: the one rule by which a leak is refused or stamped.

Whatever looks at more than one image, or at an outcome, declares itself as a `FittedStep`: every
section of a recipe by its ``declares()``, every step of a representation by its own. Strict mode
refuses those that see held-out people; paper mode runs them, and whatever they reach is stamped
LEAK with their names. Nothing else in the package decides what a leak is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from bidsapp.contracts.space import Space

SCOPES = {
    "image": "each image",
    "train_fold": "the training fold",
    "test_fold": "the fold that is scored",
    "dataset": "all images, held-out ones included",
}
"""On whose data something is fitted, and how a text says it."""

REACHES = {
    "network": ("network", "scores", "maps"),
    "scores": ("scores", "baselines", "best_fold"),
    "maps": ("maps",),
    "best_fold": ("baselines", "best_fold"),
}
"""What a step has a hand in, and what bears its stamp for that.

``scores`` are scores.tsv, metrics, tables, figures, the model and its card, methods text and
report; ``best_fold`` the rows of the best fold in them, and no others; ``maps`` the saliency maps
and their tables; ``baselines`` the rows of models that see no image.
"""


@dataclass(frozen=True)
class FittedStep:
    """Something that is fitted or chosen, as it declares itself before any work.

    Attributes
    ----------
    name
        Dotted key of the recipe that asks for it, with its value: ``representation.zscore:
        dataset``. It stands in every stamp.
    scope
        On whose data it is fitted: ``image`` (each image by itself), ``train_fold``, ``test_fold``
        (the fold that is scored) or ``dataset``.
    uses_outcome
        Whether it looks at the outcome.
    reason
        What held-out people have to do with it, where they do; a clause.
    reaches
        What depends on it: ``network``, and with it all that follows; ``scores`` (a threshold),
        ``maps`` or ``best_fold`` alone.
    certain
        Whether it is known to look at these people. What is not known is stamped LEAK?, and not
        refused.
    """

    name: str
    scope: str
    uses_outcome: bool = False
    reason: str = ""
    reaches: str = "network"
    certain: bool = True

    def __post_init__(self) -> None:
        """Refuse a scope or a reach that nothing would act upon."""
        for word, known in ((self.scope, SCOPES), (self.reaches, REACHES)):
            if word not in known:
                raise ValueError(f"{self.name}: {word!r} is not one of {', '.join(known)}")

    @property
    def leaks(self) -> bool:
        """Whether it sees, or may see, the people who are held out."""
        outside = self.scope in ("dataset", "test_fold")
        return outside or (self.uses_outcome and self.scope != "train_fold")

    @property
    def why(self) -> str:
        """Say what held-out people have to do with it."""
        if self.reason:
            return self.reason
        seen = "outcomes" if self.uses_outcome else "images"
        return f"it is fitted on {SCOPES[self.scope]}, and sees {seen} of held-out people"


def leaking(steps: Iterable[FittedStep], reached: str = "") -> tuple[FittedStep, ...]:
    """List the steps that see held-out people, each once.

    Parameters
    ----------
    steps
        Of a recipe, or of several.
    reached
        Only those that reach this: ``network``, ``scores``, ``maps``, ``baselines`` or
        ``best_fold``.
    """
    found = {step.name: step for step in steps if step.leaks}
    return tuple(step for step in found.values() if not reached or reached in REACHES[step.reaches])


def refusals(steps: Iterable[FittedStep]) -> Iterator[tuple[str, str]]:
    """Give the key of each step that strict mode refuses, and what to do about it."""
    for step in leaking(steps):
        if step.certain:
            key, _, value = step.name.partition(": ")
            yield (
                key,
                f"{value or step.scope} is refused in strict mode: {step.why}; mode: paper runs it",
            )


def stamp_text(steps: Iterable[FittedStep]) -> str:
    """Write the stamp of steps that leak, each once: ``LEAK: a, b; LEAK?: c``; empty for none."""
    found = leaking(steps)
    sure = ", ".join(step.name for step in found if step.certain)
    perhaps = ", ".join(step.name for step in found if not step.certain)
    return "; ".join([f"LEAK: {sure}"] * bool(sure) + [f"LEAK?: {perhaps}"] * bool(perhaps))


class Images(Protocol):
    """Images of a cohort in rows, read when they are asked for: one at a time is in memory."""

    @property
    def space(self) -> "Space | None":
        """Where their voxels lie; None where that is not known."""

    def __len__(self) -> int:
        """Count the rows."""

    def __getitem__(self, row: int) -> "np.ndarray":
        """Read one image, channels first: (C, *space); C may differ from row to row."""

    def column(self, name: str) -> "Sequence[str]":
        """Give a column of the cohort table (a site, say), a text for each row."""

    def kept(
        self, name: str, rows: tuple[int, ...], make: "Callable[[], np.ndarray]"
    ) -> "np.ndarray":
        """Give what `make` computes from these images and nothing else, made once for all folds.

        Parameters
        ----------
        name
            What it is, with every setting that shapes it: letters, digits, dashes.
        rows
            The images that it is made of; each has to be one that may be read.
        make
            Computes it.

        Returns
        -------
        numpy.ndarray
            Read-only where it comes from a file.
        """


@runtime_checkable
class Fitted(Protocol):
    """A step from images to images that is fitted before it is applied.

    A constructor only stores; `fit` gives a new object. It is handed the rows that its scope
    allows, and cannot read others.
    """

    def declares(self) -> tuple[FittedStep, ...]:
        """Say what is fitted, on whom, and whether the outcome is looked at."""

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Name the channels that come out; before `fit` as many as there can be."""

    def fit(self, images: Images, rows: "np.ndarray", outcome: "np.ndarray | None") -> Self:
        """Fit on some rows; the same rows in any order give the same bits.

        Parameters
        ----------
        images
            As the step before left them.
        rows
            Ascending row numbers that may be read: those of the training fold, or of all images
            where the scope is ``dataset``.
        outcome
            0 or 1 for each of `rows`, -1 where it is not known; None for a step that does not
            declare ``uses_outcome``.
        """

    def transform(self, images: Images, rows: "np.ndarray") -> "Iterator[np.ndarray]":
        """Give these images one by one, float32, (C', *space) with the channels of `channels`."""

    def state(self) -> "Mapping[str, np.ndarray]":
        """Give what `fit` found, as named arrays; text as an array of characters."""

    def with_state(self, state: "Mapping[str, np.ndarray]") -> Self:
        """Give the step as it was when `state` was written.

        Raises
        ------
        BadData
            The arrays are not those of such a step.
        """


@runtime_checkable
class OfMaps(Fitted, Protocol):
    """A step each of whose channels is a person's own copy of one map of the whole group."""

    def group_maps(self) -> "np.ndarray":
        """Give these maps in the order of `channels`, float32, (C, *space); 0 outside of them."""


@runtime_checkable
class OfChannels(Fitted, Protocol):
    """A step that finds numbers of each channel, by which a reader judges what was fitted."""

    def told(self, given: tuple[str, ...]) -> "Mapping[str, Mapping[str, float]]":
        """Give what was found of each channel, by its name: column to number.

        Columns are those of ``components.tsv``. A step that makes channels tells of those that it
        makes, a step that chooses some of them tells of all `given`.
        """


@runtime_checkable
class ReadsColumns(Fitted, Protocol):
    """A step that reads columns of the cohort table, as a site, and may refuse people by them."""

    def check(self, images: Images, train: "np.ndarray", test: "np.ndarray") -> None:
        """Refuse, before any work, what the columns make impossible; no image is read.

        Parameters
        ----------
        images
            Rows with their columns.
        train, test
            Row numbers of those that it will be fitted on, and of those that it will be applied
            to.

        Raises
        ------
        BadData
            The message says whom, and what the recipe can say of them.
        """


@runtime_checkable
class PerChannel(Fitted, Protocol):
    """A step that subtracts and divides, one pair of numbers a channel and image.

    It costs next to nothing, so that it is applied to each batch on the device, after
    augmentation; its images are never stored.
    """

    def numbers(self, images: Images, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Give what is subtracted, then what is divided by: float32, (rows, C) each."""

"""The scope rule: whatever is fitted says on what, and leakage is refused or stamped."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bidsapp.errors import UsageError

SCOPES = ("image", "train_fold", "dataset")
MODES = ("strict", "paper")


class Fitted(Protocol):
    """What anything that is fitted must say of itself."""

    @property
    def name(self) -> str:
        """The step's name, as the user meets it in a message."""

    @property
    def scope(self) -> str:
        """``image``, ``train_fold`` or ``dataset``."""

    @property
    def uses_outcome(self) -> bool:
        """Whether fitting looks at the outcome."""


@dataclass(frozen=True)
class FittedStep:
    """A step that is fitted, as it declares itself before any work.

    Attributes
    ----------
    name
        The recipe key that asks for it (``representation.zscore``), or the step's own name.
    scope
        ``image`` (each image by itself), ``train_fold`` or ``dataset``.
    uses_outcome
        Whether fitting looks at the outcome.
    """

    name: str
    scope: str
    uses_outcome: bool = False


def check_scopes(steps: Iterable[Fitted], mode: str = "strict") -> tuple[str, ...]:
    """Refuse what leaks in strict mode; name it in paper mode.

    Parameters
    ----------
    steps
        Every step of the run that is fitted.
    mode
        ``strict`` or ``paper``.

    Returns
    -------
    tuple of str
        The stamps, one per leaking step, for every file and figure that depends on it;
        always empty in strict mode.

    Raises
    ------
    UsageError
        In strict mode, when a step is fitted on the dataset or uses the outcome outside the
        training fold; for a scope or mode that does not exist.
    """
    if mode not in MODES:
        raise UsageError(f"mode: {mode!r} is not one of {', '.join(MODES)}")
    stamps = []
    for step in steps:
        if step.scope not in SCOPES:
            raise UsageError(
                f"{step.name}: scope {step.scope!r} is not one of {', '.join(SCOPES)}; "
                "whatever is fitted must say its scope"
            )
        reasons = []
        if step.scope == "dataset":
            reasons.append("is fitted on the whole dataset, test participants included")
        if step.uses_outcome and step.scope != "train_fold":
            reasons.append("uses the outcome outside the training fold")
        if reasons:
            stamps.append(f"LEAK: {step.name} {' and '.join(reasons)}")
    if stamps and mode == "strict":
        listed = "; ".join(stamp.removeprefix("LEAK: ") for stamp in stamps)
        raise UsageError(
            f"refused in strict mode: {listed}. Fit it on the training fold (train_fold), or "
            "set mode: paper to run the study as printed, with LEAK stamped on its results"
        )
    return tuple(stamps)

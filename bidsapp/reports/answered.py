"""What a prediction says of whether the model should be asked about a person at all."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.abstention import UNLIKE, UNSURE

if TYPE_CHECKING:
    import numpy as np

    from bidsapp.contracts.calibrated import Calibrated
    from bidsapp.networks.bundle import Bundle
    from bidsapp.networks.predict import Prediction


def answered(
    bundle: "Bundle",
    label: str,
    quality: Mapping[str, Any],
    answers: "Prediction",
    images: "np.ndarray",
    place: int,
    unseen_by: tuple[int, ...] | None,
) -> dict[str, Any]:
    """Say whether the model answers about a person, how unlike training people they are, and more.

    What the probability is worth, with an interval, is said of nobody who is unlike.
    """
    from bidsapp.networks.familiarity import judge

    used = list(range(answers.per_model.shape[1]) if unseen_by is None else unseen_by)
    worth = {"calibrated": _worth(bundle.about.calibrated, answers.per_model[place, used].mean())}
    familiar = bundle.about.familiar
    if familiar is None:
        return {"no_answer": None, **worth}
    one = slice(place, place + 1)
    judged = judge(
        familiar,
        [model[one] for model in answers.features],
        images[one],
        [quality],
        answers.per_model[one],
        unseen_by,
    )
    why, limits = judged.reasons[0], familiar.limits
    if why:
        what = f" in {judged.most_unlike[0]}" if why == UNLIKE else ""
        words = {UNLIKE: "unlike the training people", UNSURE: "too near to the threshold"}
        print(
            f"{label}: the model should not be asked: {words[why]}{what}; the probability "
            "is written, and marked",
            file=sys.stderr,
        )
    return {
        "no_answer": why if limits is not None else None,
        "calibrated": None if why == UNLIKE else worth["calibrated"],
        "unlike": {
            "distances": {name: _finite(value[0]) for name, value in judged.distances.items()},
            "unlikeness": _finite(judged.unlikeness[0]),
            "limit": None if limits is None else limits.unlike,
            "most_unlike": judged.most_unlike[0],
        },
        "not_promised": list(limits.notes) if limits is not None else ["no limits were fitted"],
    }


def _worth(calibrated: "Calibrated | None", probability: float) -> dict[str, Any] | None:
    """Give the calibrated probability of one person; None where the bundle has none."""
    if calibrated is None:
        return None
    found = calibrated.of(probability)
    return {
        **dict(
            zip(("probability", "ci_low", "ci_high"), (float(x[0]) for x in found), strict=True)
        ),
        "level": calibrated.level,
        "people": calibrated.people,
    }


def _finite(value: float) -> float | None:
    return float(value) if value == value else None

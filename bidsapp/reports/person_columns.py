"""What is known of people beside their images, and what a model says with it."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.dataset.description import shortened

if TYPE_CHECKING:
    from bidsapp.networks.bundle import Bundle


def tell_missing(
    bundle: "Bundle", labels: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> None:
    """Say whose columns lack a value, and what is done about it.

    Parameters
    ----------
    bundle
        The model.
    labels
        What each person is called.
    columns
        Column to the text of each person, empty where there is no value.
    """
    if not labels:
        return
    clinical = bundle.about.clinical.names if bundle.about.clinical else ()
    for name in bundle.columns:
        if name not in columns:
            what = "everybody is taken as of a site that training did not see"
            if name in clinical:
                what = "no probability from clinical columns and scan together"
            print(f"{name}: no such column in the tables: {what}", file=sys.stderr)
            continue
        without = [who for who, text in zip(labels, columns[name], strict=True) if not text]
        if without:
            print(
                f"{name}: no value of {shortened(without)}; the model takes what it took of "
                "training people without one",
                file=sys.stderr,
            )


def with_columns(
    bundle: "Bundle",
    columns: Mapping[str, Sequence[str]],
    row: int,
    per_model: Sequence[float],
    used: Sequence[int] | None,
) -> dict[str, Any]:
    """Give what a predictions file says of a person's columns, and what follows from them.

    Parameters
    ----------
    bundle
        The model.
    columns
        Column to the text of each person.
    row
        Which person.
    per_model
        Probabilities of all fold models for the person.
    used
        Those that may answer; None is all of them.
    """
    known = {name: texts[row] or None for name, texts in columns.items()}
    if not known:
        return {}
    own = {name: [texts[row]] for name, texts in columns.items()}
    alone, both = bundle.with_clinic(own, np.array([per_model]), used)
    found: dict[str, Any] = {"columns": known}
    if np.isfinite(both[0]):
        found["probability_clinical"] = float(alone[0])
        found["probability_with_clinic"] = float(both[0])
    return found

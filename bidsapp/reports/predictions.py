"""A trained model applied to normalised people: a file each, and a table."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.derivatives import OutputNames, write_json, write_text
from bidsapp.reports.prediction import read_answer

if TYPE_CHECKING:
    from bidsapp.networks.bundle import Bundle

_TABLE = ("participant_id", "session_id", "model", "sha256", "probability", "probability_sd")
_AT_ONCE = 32


@dataclass(frozen=True)
class Person:
    """One normalised image that a model is applied to."""

    participant: str
    session: str | None
    names: OutputNames
    quality: dict[str, Any]


def usable(quality: dict[str, Any]) -> bool:
    """Whether a normalisation may be given to a model: it did not fail, and is not mirrored."""
    return quality.get("verdict") in ("pass", "warn") and not quality.get("rescued")


def predict_people(
    bundle: "Bundle", people: Sequence[Person], template_mask: Path, device: str, output_dir: Path
) -> int:
    """Apply a bundle, and write what it says of each person.

    Parameters
    ----------
    bundle
        The trained model.
    people
        All who were normalised; who is not `usable` is named on stderr, and loses a prediction
        of an earlier run.
    template_mask
        The template's brain mask on the images' grid.
    device
        Where to compute.
    output_dir
        The derivatives dataset; ``group/predictions.tsv`` is made anew from all files in it.

    Returns
    -------
    int
        How many were predicted.

    Raises
    ------
    BadData
        The images lie on another grid than the model reads.
    """
    import numpy as np

    from bidsapp.networks.bundle_predict import predict
    from bidsapp.representation.sample import CohortRow, read_mask, read_sample

    mask = read_mask(template_mask)
    held_out = _held_out(bundle)
    fit = [person for person in people if usable(person.quality)]
    for person in people:
        if not usable(person.quality):
            _leave_out(person, _file(bundle, person))
    for start in range(0, len(fit), _AT_ONCE):
        some = fit[start : start + _AT_ONCE]
        samples = []
        for person in some:
            folder, names = person.names.folder, person.names
            images = {"t1w": folder / names.preproc, "log_jacobian": folder / names.log_jacobian}
            session = f"ses-{person.session}" if person.session else ""
            row = CohortRow(f"sub-{person.participant}", session, images)
            sample, window = read_sample(row, bundle.recipe.representation, mask)
            bundle.require(window)
            samples.append(sample)
        answers = predict(bundle, np.stack(samples), device)
        for person, per_model in zip(some, answers.per_model, strict=True):
            content = _content(bundle, person, [float(p) for p in per_model], held_out)
            write_json(_file(bundle, person), content)
    write_table(output_dir)
    return len(fit)


def label_of(bundle: "Bundle") -> str:
    """Give the bundle's name as a BIDS label: letters and digits alone."""
    return "".join(c for c in bundle.name if c.isalnum())


def _file(bundle: "Bundle", person: Person) -> Path:
    names = person.names
    return names.folder / f"{names.stem}_desc-{label_of(bundle)}_predictions.json"


def _leave_out(person: Person, file: Path) -> None:
    """Say of whom there is no prediction, and why."""
    session = f" ses-{person.session}" if person.session else ""
    verdict = person.quality.get("verdict", "not judged")
    why = "left and right are not verified" if person.quality.get("rescued") else verdict
    print(f"sub-{person.participant}{session}: no prediction: quality: {why}", file=sys.stderr)
    file.unlink(missing_ok=True)


def _content(
    bundle: "Bundle", person: Person, per_model: list[float], held_out: str
) -> dict[str, Any]:
    import statistics

    outcome = bundle.recipe.outcome
    several = len(per_model) > 1
    return {
        "outcome": outcome.column or outcome.expression or "outcome",
        "positive": list(outcome.positive or (True,)),
        "probability": statistics.fmean(per_model),
        "probability_sd": statistics.stdev(per_model) if several else None,
        "per_model": per_model,
        "model": {
            "name": bundle.name,
            "version": bundle.version,
            "sha256": bundle.sha256,
            "held_out": held_out,
        },
        "quality": person.quality,
        "Sources": [person.names.uri + person.names.preproc],
    }


def _held_out(bundle: "Bundle") -> str:
    results = bundle.metadata.get("held_out", bundle.metadata.get("eval_metrics", {}))
    value = results.get("auc") if isinstance(results, dict) else None
    return f"AUC {value}" if value else ""


def write_table(output_dir: Path) -> Path:
    """Make ``group/predictions.tsv`` from every predictions file of the output folder.

    Jobs that run side by side each write the whole table, so that the last one has all.
    """
    rows = ["\t".join((*_TABLE, "verdict"))]
    for file in sorted(output_dir.glob("sub-*/**/*_predictions.json")):
        content = read_answer(file)
        entities = dict(part.split("-", 1) for part in file.name.split("_")[:-1])
        spread = content["probability_sd"]
        rows.append(
            "\t".join(
                (
                    f"sub-{entities['sub']}",
                    f"ses-{entities['ses']}" if "ses" in entities else "n/a",
                    content["model"]["name"],
                    content["model"]["sha256"],
                    f"{content['probability']:.6g}",
                    "n/a" if spread is None else f"{spread:.6g}",
                    content["quality"]["verdict"],
                )
            )
        )
    path = output_dir / "group" / "predictions.tsv"
    write_text(path, "\n".join(rows) + "\n")
    return path

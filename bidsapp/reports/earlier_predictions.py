"""What an earlier run left under a model's name: predictions by another model, and old maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.derivatives import OutputNames
from bidsapp.derivatives.sidecars import read_source_sha256
from bidsapp.drawing.wording import many
from bidsapp.errors import UsageError
from bidsapp.reports.prediction import (
    MAP_EXTENSIONS,
    model_of_map,
    read_answer,
    read_sidecar,
    same_model,
)

if TYPE_CHECKING:
    from bidsapp.networks.bundle import Bundle


def require_own_name(bundle: "Bundle", output_dir: Path) -> None:
    """Refuse a folder with predictions by another model of this name, which would be overwritten.

    Parameters
    ----------
    bundle
        The model to be applied. That its run has added a verdict since makes it no other model.
    output_dir
        The derivatives dataset.

    Raises
    ------
    UsageError
        There are such predictions; the message names the first, its model, and what to do.
    BadData
        A predictions file cannot be read.
    """
    label = label_of(bundle)
    name = f"sub-*_desc-*{label}_predictions.json"  # a part stands before the label
    files = [*output_dir.glob(f"sub-*/anat/{name}"), *output_dir.glob(f"sub-*/ses-*/anat/{name}")]
    found = {path: read_answer(path) for path in sorted(files)}
    answers = {path: told for path, told in found.items() if _of_label(path, told, label)}
    others = [p for p in answers if not same_model(answers[p]["model"], bundle.identity)]
    if others:
        first = answers[others[0]]
        raise UsageError(
            f"{others[0]} was made by another model of this name: {_told(first, first['model'])}; "
            f"--model {bundle.folder} is {_told(forecast(bundle), bundle.identity)}. "
            f"{many(len(others), 'file')} would be overwritten. Choose another output folder, or "
            f"delete those predictions ({output_dir}/sub-*/**/{name})."
        )


def _of_label(path: Path, answer: Mapping[str, Any], label: str) -> bool:
    """Whether a predictions file is of a model of this label, and not of one that ends alike."""
    return path.name.endswith(f"_desc-{answer.get('part', '')}{label}_predictions.json")


def _told(answer: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """``t1w-axial for pain = yes, weights 0123456789ab, bundle 0123456789ab``."""
    outcome = " ".join(str(answer.get("outcome", "an outcome that is not named")).split())
    positive: Sequence[Any] = answer.get("positive") or ()
    forecasts = f"{outcome} = {' or '.join(map(str, positive))}" if positive else outcome
    hashes = {"weights": model.get("weights_sha256"), "bundle": model["sha256"]}
    told = [f"{what} {str(value)[:12]}" for what, value in hashes.items() if value]
    return f"{model.get('name')} for {forecasts}, {', '.join(told)}"


def forecast(bundle: "Bundle") -> dict[str, Any]:
    """Give the outcome that a model forecasts, as its predictions say it."""
    outcome = bundle.recipe.outcome
    return {
        "outcome": outcome.column or outcome.expression or "outcome",
        "positive": list(outcome.positive or (True,)),
    }


def label_of(bundle: "Bundle") -> str:
    """Give the bundle's name as a BIDS label: letters and digits alone."""
    return _label(bundle.name)


def _label(name: str) -> str:
    return "".join(c for c in name if c.isalnum())


def forget_maps(names: OutputNames, bundle: "Bundle", *, others_only: bool = False) -> None:
    """Take away the maps of one image that were made under a bundle's name.

    Parameters
    ----------
    names
        Of the image. Maps in every space go; those of models whose names only begin alike stay.
    bundle
        Whose name it is.
    others_only
        Whether to keep what this bundle, its verdict included, made of this very image.
    """
    label = label_of(bundle)
    source = read_source_sha256(names)
    for space in ("", "_space-*"):
        pattern = f"{names.stem}{space}_desc-{names.part}{label}*_statmap.json"
        for sidecar in sorted(names.folder.glob(pattern)):
            stem = sidecar.name.removesuffix(".json")
            paths = [sidecar.with_name(stem + one) for one in MAP_EXTENSIONS]
            path = paths[0]
            model = model_of_map(path)
            if _label(str(model.get("name", ""))) != label:
                continue
            own = model.get("sha256") == bundle.sha256
            if others_only and own and read_sidecar(path).get("SourceSHA256") == source:
                continue
            for path in paths:
                path.unlink(missing_ok=True)
            sidecar.unlink()

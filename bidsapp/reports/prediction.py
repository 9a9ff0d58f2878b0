"""A model's answers in the report of the participant whom they are about, with their saliency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bidsapp.contracts.product import channels_of, sidecar_name
from bidsapp.derivatives import OutputNames
from bidsapp.drawing.mosaic import Layer, Tile, mosaic
from bidsapp.drawing.pages import fill, render
from bidsapp.drawing.pictures import OVERLAY_STOPS
from bidsapp.drawing.volumes import box_around, choose_cuts, read_volume
from bidsapp.errors import BadData
from bidsapp.intake.images import open_image
from bidsapp.intake.json_text import parse_json, read_own_json
from bidsapp.reports.saliency.colour_meaning import Sides, sides_of
from bidsapp.saliency.verdict import FAIL, NOT_RUN, UNDECIDED, mark_of, verdict_of

_SUFFIX = "_predictions.json"
VOLUME, SURFACE = MAP_EXTENSIONS = (".nii.gz", ".shape.gii")
"""Ends of the names of maps: images, and values on a person's own surface."""
_LINK = '<a href="#prediction">Prediction</a>'
_MARGIN_MM = 3.0
_DIM = 1.25  # keeps white matter below white, so that colours stand out
_TOP = 99.5  # percentile of |saliency| inside the map that takes the end of the colours
_WARNINGS = {
    FAIL: "This method failed its sanity checks for this model: do not interpret the map.",
    UNDECIDED: "The sanity checks of this method are not decisive for this model: the map may show "
    "nothing that was learned.",
}


@dataclass(frozen=True)
class SaliencyView:
    """A participant's saliency map over the normalised brain.

    Attributes
    ----------
    name
        File name of the map.
    tiles
        Its slices.
    limit
        Value at the ends of the colour bar.
    units
        Of the map; empty where nobody says.
    warning
        What the sanity checks of its method forbid; empty where it passed, or was not checked.
    sides
        What the colours mean.
    """

    name: str
    tiles: Sequence[Tile]
    limit: str
    units: str
    warning: str
    sides: Sides


def show_predictions(names: OutputNames, command: str = "") -> bool:
    """Put every prediction of an image into its report, in place of those that are there.

    Parameters
    ----------
    names
        Of the normalised image, beside which predictions and saliency maps lie.
    command
        Command line that makes the predictions again; empty leaves the report's own.

    Returns
    -------
    bool
        Whether the report is there and has a place for them.
    """
    answers = [(read_answer(path), path) for path in prediction_files(names)]
    sections = [
        prediction_section(
            answer,
            saliency_views(names, path, answer["model"]),
            place,
            surface_maps(names, path, answer["model"]),
        )
        for place, (answer, path) in enumerate(answers)
    ]
    contents = {"prediction": "\n".join(sections)}
    if command and answers:
        contents["command"] = render("command.html.j2", command=command)
    # reports of earlier versions have no place for the link, and are as whole without it
    fill(names.report, {"prediction-link": _LINK if answers else ""})
    return fill(names.report, contents)


def prediction_files(names: OutputNames) -> list[Path]:
    """Find the predictions of one image."""
    return sorted(names.folder.glob(names.native("*", "predictions", ".json")))


def read_answer(path: Path) -> dict[str, Any]:
    """Read a predictions file, or raise BadData that names it."""
    try:
        content = read_own_json(path)
        if not (isinstance(content["model"], dict) and content["model"]["sha256"]):
            raise KeyError("model")
        float(content["probability"]), list(content["per_model"]), content["quality"]["verdict"]
        return dict(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            f"{path} is not a predictions file of this app ({error}); remove it."
        ) from error


def prediction_section(
    answer: Mapping[str, Any],
    views: Sequence[SaliencyView] = (),
    place: int = 0,
    surfaces: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Write the section of one prediction as HTML, everything from data escaped.

    Parameters
    ----------
    answer
        Contents of the predictions file.
    views
        Saliency maps of this prediction.
    place
        Which prediction of the page this is, from 0.
    surfaces
        Files of saliency on the person's own surface, which are not drawn, with what the checks of
        their method forbid.
    """
    return render(
        "prediction.html.j2",
        outcome=answer["outcome"],
        positive=answer["positive"],
        probability=answer["probability"],
        spread=answer["probability_sd"],
        per_model=answer["per_model"],
        model=answer["model"],
        held_out=answer["model"].get("held_out") or "",
        leaks=answer["model"].get("leaks") or [],
        in_training=answer.get("in_training"),
        no_answer=answer.get("no_answer"),
        most_unlike=(answer.get("unlike") or {}).get("most_unlike"),
        calibrated=answer.get("calibrated"),
        clinical=answer.get("probability_clinical"),
        joined=answer.get("probability_with_clinic"),
        columns=answer.get("columns") or {},
        views=views,
        surfaces=surfaces,
        gradient=", ".join(f"rgb({r} {g} {b})" for r, g, b in OVERLAY_STOPS),
        number=f"-{place + 1}" if place else "",
    )


def same_model(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two files were made by one model.

    Parameters
    ----------
    one, other
        What they say of their model, as `Bundle.identity` gives it. The weights decide; where
        either is of an earlier version, which names none, the hash of the bundle does.
    """
    both = one.get("weights_sha256") and other.get("weights_sha256")
    key = "weights_sha256" if both else "sha256"
    return one.get(key) == other.get(key)


def saliency_views(
    names: OutputNames, prediction: Path, model: Mapping[str, Any]
) -> list[SaliencyView]:
    """Draw the saliency maps of a prediction, on the grid of the normalised image.

    Parameters
    ----------
    names
        Of the normalised image.
    prediction
        Its predictions file; maps lie beside it.
    model
        What the prediction says of its model; maps by another are left out.
    """
    return [_view(names, path) for path in _maps(names, prediction, model, VOLUME)]


def surface_maps(names: OutputNames, prediction: Path, model: Mapping[str, Any]) -> dict[str, str]:
    """Find the maps of a prediction on the person's own surface, as `saliency_views` does.

    Returns
    -------
    dict
        Name of the file to what the checks of its method forbid; empty where they passed.
    """
    found = _maps(names, prediction, model, SURFACE)
    return {path.name: _warning(path.name, read_sidecar(path).get("Sanity")) for path in found}


def _maps(
    names: OutputNames, prediction: Path, model: Mapping[str, Any], extension: str
) -> list[Path]:
    label = prediction.name.removesuffix(_SUFFIX).rpartition("_desc-")[2].removeprefix(names.part)
    name = names.in_space if extension == VOLUME else names.native
    maps = names.folder.glob(name(f"{label}*", "statmap", extension))
    return [
        path
        for path in sorted(maps)
        if path.name not in names.data_files and same_model(model_of_map(path) or model, model)
    ]


def model_of_map(path: Path) -> dict[str, Any]:
    """Read what a map's sidecar says of the model; empty where it says nothing."""
    model = read_sidecar(path).get("Model")
    return model if isinstance(model, dict) else {}


def _view(names: OutputNames, path: Path) -> SaliencyView:
    saliency, brain = read_map(path), read_volume(names.path(names.shown.key))
    same = saliency.data.shape == brain.data.shape
    if not same or not np.allclose(saliency.affine, brain.affine, atol=1e-3):
        raise BadData(f"{path} does not lie on the grid of {names[names.shown.key]}; remove it.")
    values = np.nan_to_num(np.asarray(saliency.data, dtype=np.float32))
    explained = values != 0
    limit = float(np.percentile(np.abs(values[explained]), _TOP)) if explained.any() else 1.0
    image = np.asarray(brain.data)
    box = box_around(explained, brain.voxel_sizes, _MARGIN_MM)
    grid = brain.cropped(box)
    inside = image[image > 0]
    bright = float(np.percentile(inside, 99.7)) if inside.size else 1.0
    layer = Layer(
        "participant",
        "Saliency over the image",
        image[box],
        (0.0, _DIM * bright),
        overlay=values[box],
        limit=limit,
    )
    tiles = mosaic(grid, choose_cuts(grid.like(explained[box])), [layer])
    about = read_sidecar(path)
    channels = [channel for _, channel in channels_of(names.products).values()]
    settings = dict(about.get("Settings") or {})
    return SaliencyView(
        path.name,
        tiles,
        f"{limit:.2g}",
        str(about.get("Units") or about.get("units") or ""),
        _warning(path.name, about.get("Sanity")),
        sides_of(
            str(about.get("Method", "")),
            bool(settings.get("absolute")),
            channels,
            (str(about.get("HigherValue", "")), str(about.get("LowerValue", ""))),
        ),
    )


def _warning(name: str, sanity: Any) -> str:
    """Say what the checks of a map's method forbid, by its sidecar, or else by its file's name."""
    verdict = verdict_of(sanity if isinstance(sanity, dict) else None)
    if verdict == NOT_RUN:
        marks = ((mark_of(word), word) for word in (FAIL, UNDECIDED))
        verdict = next((word for mark, word in marks if f"{mark}_statmap" in name), verdict)
    return _WARNINGS.get(verdict, "")


def read_map(path: Path) -> Any:
    """Read a saliency map; channels in a fourth dimension are added up."""
    import nibabel as nib

    from bidsapp.drawing.volumes import Volume

    image: Any = nib.as_closest_canonical(open_image(path))
    data = np.asarray(image.dataobj, dtype=np.float32)
    data = data.sum(axis=tuple(range(3, data.ndim))) if data.ndim > 3 else data
    return Volume(data, np.asarray(image.affine, dtype=float))


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read the sidecar of a map; empty where there is none."""
    try:
        content = parse_json((path.parent / sidecar_name(path.name)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

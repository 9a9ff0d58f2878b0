"""One map a person: the held-out maps of a stack as images on the full template grid."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import FittedStep, stamp_text
from bidsapp.contracts.home import Home, WayBack
from bidsapp.contracts.space import Space
from bidsapp.contracts.unit import Unit, units_in
from bidsapp.errors import BadData, NoInput
from bidsapp.evaluation.stamp import leak_facts
from bidsapp.intake.images import read_numbers
from bidsapp.recipes.analysis import Saliency
from bidsapp.recipes.folders import without_folders
from bidsapp.saliency.map_files import description_of, label_of, space_facts
from bidsapp.saliency.native import NativeSpace
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.gifti import write_values
from bidsapp.spaces.nifti import EXTENSION, write_map

_OF_TEMPLATE = ("Space", "SpatialReference", "Resolution", "Window")


@dataclass(frozen=True)
class MapPlace:
    """Where the maps of a variant go, and what they came from.

    Attributes
    ----------
    folder
        ``<out>/group/<label>/saliency/<variant>``.
    output_dir
        The derivatives dataset, by which BIDS URIs are meant.
    template_label, resolution
        Values of BIDS' ``space`` and ``res``; empty where the prepared files have none.
    images
        Unit to its image, a path inside `output_dir` or a BIDS URI.
    native
        Whether to write each map on the scan's own voxels too.
    home
        Finds what a prepared unit's map was seen on, from its image; None where only transforms
        lead there.
    way_back
        Names these transforms, from the unit's image; None where there are none.
    """

    folder: Path
    output_dir: Path
    template_label: str
    resolution: str
    images: Mapping[Unit, str]
    native: bool = False
    home: Callable[[Path], Home | None] | None = None
    way_back: Callable[[Path], WayBack | None] | None = None

    @property
    def labels(self) -> str:
        """Write the labels as file names have them: ``space-MNI152NLin6Asym_res-2``."""
        pairs = (("space", self.template_label), ("res", self.resolution))
        return "_".join(f"{key}-{value}" for key, value in pairs if value)

    @property
    def grid_facts(self) -> dict[str, str]:
        """Say the resolution for a sidecar, where there is one."""
        if not str(self.resolution).isdigit():
            return {}
        return {"Resolution": f"{self.resolution} mm isotropic, the grid of the recipe"}


def write_people(
    stack: MapStack,
    place: MapPlace,
    sanity: Mapping[str, Any],
    settings: Saliency,
    leaks: Sequence[FittedStep] = (),
) -> list[Path]:
    """Write the map of every scan; what an earlier run left there is taken away.

    A map is the sum over channels, and the mean over repeats where a scan was held out several
    times; it is not smoothed. Outside of the network's window it is 0.

    Parameters
    ----------
    stack
        Maps of held-out scans.
    place
        Where they go.
    sanity
        Verdict and sentences; `verdict.mark_of` it is in each name.
    settings
        The recipe's ``saliency`` section.
    leaks
        Steps by which the networks saw the people whom they held out; each sidecar is stamped.

    Returns
    -------
    list of Path
        The maps in standard space.
    """
    for folder in place.folder.glob("sub-*"):
        shutil.rmtree(folder)
    desc = description_of(str(stack.about["method"]), str(sanity.get("verdict", "")))
    written = []
    units = pd.Series(units_in(stack.rows), index=stack.rows.index)
    for unit in dict.fromkeys(units):
        own = stack.rows[units == unit]
        values = stack.values[own.index.to_numpy()].sum(axis=1, dtype=np.float64).mean(axis=0)
        block = values.astype(np.float32)
        stem = "_".join(filter(None, (unit.participant, unit.session)))
        shared = "_".join(filter(None, (stem, place.labels)))
        folder = Path(*filter(None, (place.folder, unit.participant, unit.session, "anat")))
        part = f"_label-{label_of(unit.part)}" if unit.part else ""
        source = place.images[unit]
        content = {
            **_sidecar(stack, own, place, sanity, source),
            **_whether_held_out(stack, own, leaks),
            "Settings": without_folders(settings.plain()),
        }
        path = folder / f"{shared}{part}_desc-{desc}_statmap{stack.space.extension}"
        space = stack.space
        if not space.common:
            space = space.placed(read_numbers(place.output_dir / source)[1])
        space.write(path, block, content)
        written.append(path)
        if place.native and space.common:
            own_name = f"{stem}{part}_desc-{desc}_statmap"
            _write_native(folder / own_name, block, stack.space, place, content, source)
    return written


def native_content(content: Mapping[str, Any], native: NativeSpace, place: Path) -> dict[str, Any]:
    """Say of a map on a scan's own voxels how it came there.

    Parameters
    ----------
    content
        Sidecar of the map in standard space.
    native
        The scan's own space.
    place
        The derivatives dataset.
    """
    own = {key: value for key, value in content.items() if key not in _OF_TEMPLATE}
    transform = f"bids::{native.transform_file.relative_to(place).as_posix()}"
    return own | {
        "Interpolation": "linear",
        "Sources": [*content["Sources"], transform],
        "Description": f"{content['Description']} Brought from standard space onto the voxels of "
        "the participant's own image.",
    }


def write_at_home(
    home: Home, path: Path, block: np.ndarray, content: Mapping[str, Any], root: Path
) -> None:
    """Lay a map back onto what a network's picture was cut from.

    Parameters
    ----------
    home
        The unit's own.
    path
        Without extension: that of the home's space is added.
    block
        The map as the network saw it.
    content
        Sidecar of the map in the space that units have in common.
    root
        The derivatives dataset.
    """
    own = {key: value for key, value in content.items() if key not in _OF_TEMPLATE}
    told = own | {
        "Sources": [*content["Sources"], f"bids::{home.file.relative_to(root).as_posix()}"],
        "Window": home.space.facts(),
        "Description": f"{content['Description']} Laid back onto the participant's own "
        f"{home.file.name}.",
    }
    path = path.with_name(path.name + home.space.extension)
    if home.space.extension == EXTENSION:
        home.space.write(path, block, told)
        return
    # the surface itself is there, in the scanner's millimetres: values alone are added
    surface = told["Sources"][-1]
    write_values(path, home.space.put_back(block), json.dumps({}), told | {"Surface": surface})


def _write_native(
    path: Path,
    block: np.ndarray,
    space: Space,
    place: MapPlace,
    content: Mapping[str, Any],
    source: str,
) -> None:
    """Write a map on the scan's own voxels, into a file named `path` and the fitting extension."""
    try:
        if source.startswith("bids:"):
            raise NoInput(
                f"--native-maps: {source} is of another dataset, whose transform is not known"
            )
        image = place.output_dir / source
        home = place.home(image) if place.home else None
        if home is not None:
            write_at_home(home, path, block, content, place.output_dir)
            return
        native = NativeSpace(place.way_back(image) if place.way_back else None)
    except (NoInput, BadData) as error:
        print(f"{path.name}: left out: {error}", file=sys.stderr)
        return
    path = path.with_name(path.name + ".nii.gz")
    told = native_content(content, native, place.output_dir)
    affine = np.array(space.to_dict()["grid_affine"])
    write_map(path, native.of(space.put_back(block), affine), native.affine, told, native.codes)


def _sidecar(
    stack: MapStack,
    own: pd.DataFrame,
    place: MapPlace,
    sanity: Mapping[str, Any],
    source: str,
) -> dict[str, Any]:
    about = stack.about
    uri = source if source.startswith("bids:") else f"bids::{source}"
    return {
        "Units": about["units"],
        "Target": f"{about['target']} of the positive class",
        "Variant": about["variant"],
        "Method": about["method"],
        "Repeat": [int(value) for value in own["repeat"]],
        "Fold": [int(value) for value in own["fold"]],
        "ModelSHA256": [str(value) for value in own["model_sha256"]],
        "Probability": [float(value) for value in own["probability"]],
        "Outcome": int(own["outcome"].iloc[0]),
        "Channels": f"sum over {', '.join(stack.channels)}",
        "Smoothing": "none",
        "Window": stack.space.facts(),
        **(space_facts(place.template_label) if stack.space.common else _own_space(place, uri)),
        **place.grid_facts,
        "Sanity": dict(sanity),
        "Sources": [uri],
    }


def _own_space(place: MapPlace, uri: str) -> dict[str, str]:
    """Say that a map lies over the person's own scan."""
    return {"Space": place.template_label, "SpatialReference": uri}


def _whether_held_out(
    stack: MapStack, own: pd.DataFrame, leaks: Sequence[FittedStep]
) -> dict[str, Any]:
    """Say whether the networks knew nothing of this participant, and what they saw where not."""
    who = "a network that was trained without this participant"
    if leaks:
        saw = "saw" if any(step.certain for step in leaks) else "may have seen"
        who = (
            f"a network whose weights were trained without this participant, whom it {saw} all the "
            f"same ({stamp_text(leaks)})"
        )
    repeats = f"; mean over {len(own)} repeats" if len(own) > 1 else ""
    return {
        "Description": f"Saliency ({stack.about['method']}) of the answer of {who}{repeats}.",
        "HeldOut": not leaks,
        **leak_facts(leaks),
    }

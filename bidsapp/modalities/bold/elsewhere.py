"""BOLD series that other pipelines brought to standard space, found in their derivatives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.dataset.image_names import Name, companion
from bidsapp.dataset.normalized import (
    NormalizedImage,
    NormalizedSearch,
    Wanted,
    by_scan,
    not_fetched,
    passed_over,
    read_sidecar,
    require_people,
    several,
    sidecar_of,
)
from bidsapp.dataset.tables import ScanKey, read_frame
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.modalities.bold.cleaning import check_confounds
from bidsapp.modalities.bold.confounds import steady_volumes
from bidsapp.modalities.bold.measures import FD_OVER_MM
from bidsapp.modalities.bold.reading import MIN_VOLUMES
from bidsapp.modalities.bold.strategies import STRATEGIES
from bidsapp.modalities.bold.timing import timing_of

if TYPE_CHECKING:
    import pandas as pd

# A brain in MNI space has 1,700 to 1,900 ml.
_LEAST_BRAIN_ML = 1100.0
_SAME_PLACE_MM = 0.5
# Entities that other files of the same run need not have.
_OF_THE_GRID = ("space", "res", "den", "desc")
_HALFPIPE_SPACE = "MNI152NLin2009cAsym"
_OTHER_SPACE = (
    "name it under preparation.other_spaces if it is as good as the template's, choose it with "
    "--template, or run the participant level on this scan"
)


@dataclass(frozen=True)
class Kind:
    """How a pipeline names its series.

    Attributes
    ----------
    desc
        Value of ``desc-``.
    denoised
        Whether confounds are out of it already.
    """

    desc: str | None
    denoised: bool


KINDS = (
    Kind("preproc", denoised=False),  # fMRIPrep, this app and most others
    Kind(None, denoised=False),  # HALFpipe, which has setting- in its place
    Kind("denoised", denoised=True),  # XCP-D, this app
    Kind("residual", denoised=True),  # XCP-D before 0.3
)
"""What is taken, the first kind that a person has; a series that can still be denoised first."""
CONFOUNDS = (
    "desc-confounds_timeseries.tsv",  # fMRIPrep, this app, HALFpipe
    "desc-confounds_regressors.tsv",  # fMRIPrep before 20.2, HALFpipe before 1.3
)
MOTION = ("motion.tsv", "desc-filtered_motion.tsv")
"""Tables of XCP-D that hold framewise displacement alone."""


@dataclass(frozen=True)
class Foreign:
    """A series of another pipeline, and what is known of it.

    Attributes
    ----------
    image
        The series, 4D, in a standard space.
    tr
        Seconds between volumes.
    table
        Its confounds; without a column where there are none.
    denoised
        Whether confounds are out of it already.
    smoothed
        Whether its sidecar says that it was smoothed.
    """

    image: Path
    tr: float
    table: "pd.DataFrame"
    denoised: bool
    smoothed: bool


def find_derivatives(dataset: str, root: Path, wanted: Wanted) -> NormalizedSearch:
    """Find a series in a template's space for each person in the derivatives of any pipeline.

    Names are those of `KINDS`; of several voxel sizes the nearest to the recipe's is taken, of
    several tasks those whose label holds ``rest``. The grid is not looked at.

    Raises
    ------
    NoInput
        The folder is not there, or holds no ``sub-`` folder.
    UsageError
        It holds no series in that space; the spaces that it has are named.
    """
    require_people(dataset, root)
    accepted = {wanted.labels["space"], *wanted.settings.get("other_spaces", ())}
    found = NormalizedSearch({}, {}, frozenset())
    spaces: set[str] = set()
    for key, names in _by_scan(root, wanted.datatype, found):
        series = [name for name in names if name.suffix == "bold"]
        there = set(map(_space, series)) - {""}
        spaces |= there
        best = _best([name for name in series if _space(name) in accepted], wanted)
        if len(best) > 1:
            found.unusable[key] = several(best)
        elif best:
            _take(found, dataset, root, key, best[0], names, wanted)
        elif series:
            where = f"-d {dataset}={root}"
            found.passed_over[key] = passed_over(where, series, there, accepted, _OTHER_SPACE)
    if not found.images and not found.unusable:
        listed = ", ".join(sorted(spaces)) or "none"
        raise UsageError(
            f"-d {dataset}={root}: no bold in space {' or '.join(sorted(accepted))}; spaces there: "
            f"{listed}. Choose one with --template, name one that is as good as the template's "
            "under preparation.other_spaces, or leave out -d and run the participant level."
        )
    return replace(found, spaces=frozenset(spaces))


def foreign_of(image: Path, root: Path, settings: Mapping[str, Any]) -> Foreign:
    """Read what lies beside a series and is needed to denoise it.

    Parameters
    ----------
    image
        The series.
    root
        Its dataset, whose JSON files hold for it by BIDS's inheritance.
    settings
        ``confounds`` and ``band_pass_hz`` of the preparation.

    Raises
    ------
    BadData
        A JSON file of it cannot be read; it is no series, or too short; its times contradict each
        other; its confounds are not there, do not fit it, or leave nothing of it.
    """
    import pandas as pd

    from bidsapp.dataset.scanners import metadata_of, refuse_unread
    from bidsapp.intake.images import open_image

    name = image.name
    opened = open_image(image)
    shape = opened.shape
    if len(shape) != 4 or shape[3] < MIN_VOLUMES:
        raise BadData(
            f"{name} has shape {tuple(shape)}; a series of at least {MIN_VOLUMES} volumes (4D) is "
            "expected"
        )
    for error in refuse_unread(root, [image], "bold").values():
        raise error
    metadata = {k: v for k, v in metadata_of(root, image, "bold").items() if k != "SliceTiming"}
    header = opened.header
    unit = int(header["xyzt_units"]) & 0x38
    tr = timing_of(name, metadata, shape, float(header["pixdim"][4]), unit).tr
    own = name.split("_bold.")[0].split("_")
    told = dict(pair.split("-", 1) for pair in own if "-" in pair)
    denoised = any(kind.denoised and kind.desc == told.get("desc") for kind in KINDS)
    strategy = STRATEGIES[settings["confounds"]]
    path = _beside(image, CONFOUNDS)
    table = pd.DataFrame(index=range(shape[3]))
    if strategy.motion and not denoised:
        if path is None:
            raise BadData(
                f"{name}: no {CONFOUNDS[0]} beside it; --set preparation.confounds=none takes a "
                "series as it is, for one that was denoised already"
            )
        table = _numbers(path)
        if len(table) != shape[3]:
            raise BadData(f"{path.name} has {len(table)} rows, {name} {shape[3]} volumes")
        low, high = settings["band_pass_hz"]
        check_confounds(table, strategy, tr, (low, high), path.name)
    width = metadata.get("SmoothingFWHM") or 0
    if isinstance(width, bool) or not isinstance(width, int | float):
        raise BadData(f"{name}: SmoothingFWHM in its JSON is {width!r}; millimetres are expected")
    smoothed = width > 0
    return Foreign(image, tr, table, denoised, smoothed)


def is_finished(image: Path, settings: Mapping[str, Any]) -> bool:
    """Whether this app denoised a series as the settings ask, so that nothing is left to do.

    Its grid is not looked at, but for the voxel size in its name.
    """
    if f"_res-{settings['resolution']}_desc-denoised_bold." not in image.name:
        return False
    try:
        told = read_own_json(sidecar_of(image))
    except (OSError, ValueError):
        return False
    if not isinstance(told, dict) or "nocicast" not in (told.get("GeneratedWith") or {}):
        return False
    low, high = settings["band_pass_hz"]
    asked = {
        "Confounds": settings["confounds"],
        "HighpassCutoff": low,
        "LowpassCutoff": high,
        "SmoothingFWHM": settings["smoothing_fwhm_mm"],
    }
    return all(key in told and told[key] == value for key, value in asked.items())


def motion_numbers(image: Path) -> dict[str, float]:
    """Measure the head's motion by the confounds, or the table of motion, beside a series."""
    path = _beside(image, (*CONFOUNDS, *MOTION))
    if path is None:
        return {}
    table = _numbers(path)
    found = {}
    if "framewise_displacement" in table:
        moves = table["framewise_displacement"].to_numpy(float)
        if np.isfinite(moves).any():
            found["fd_mean"] = float(np.nanmean(moves))
            found["fd_over"] = float(np.mean(moves > FD_OVER_MM))
    if "std_dvars" in table:
        changes = table["std_dvars"].to_numpy(float)[steady_volumes(table, changes=True)]
        if np.isfinite(changes).any():
            found["std_dvars"] = float(np.nanmean(changes))
    return found


def _by_scan(
    root: Path, datatype: str, found: NormalizedSearch
) -> Iterator[tuple[ScanKey, list[Name]]]:
    """Give everybody's files, those of HALFpipe's folders for each task among them."""
    folders = {path.name for path in root.glob(f"sub-*/{datatype}/task-*") if path.is_dir()}
    folders |= {path.name for path in root.glob(f"sub-*/ses-*/{datatype}/task-*") if path.is_dir()}
    joined: dict[ScanKey, list[Name]] = {}
    for place in (datatype, *(f"{datatype}/{name}" for name in sorted(folders))):
        for key, names in by_scan(root, place, found.unusable):
            joined.setdefault(key, []).extend(names)
    yield from sorted(joined.items())


def _space(name: Name) -> str:
    """Name the space of a series; HALFpipe has one, and does not write it."""
    implied = _HALFPIPE_SPACE if "setting" in name.entities else ""
    return name.entities.get("space", implied)


def _best(series: Sequence[Name], wanted: Wanted) -> list[Name]:
    """Give the series that are as good as one another: kind, then voxel size, then the task."""
    whole = [name for name in series if is_finished(name.path, wanted.settings)]
    if whole:
        return whole
    known = [kind.desc for kind in KINDS]
    ranked: dict[tuple[int, float, str, bool], list[Name]] = {}
    for name in series:
        desc, res = name.entities.get("desc"), name.entities.get("res", "")
        if desc not in known or (desc is None and "setting" not in name.entities):
            continue
        finer = abs(float(res) - float(wanted.labels["res"])) if res.isdecimal() else 50.0
        rest = "rest" in name.entities.get("task", "rest").lower()
        ranked.setdefault((known.index(desc), finer, res, not rest), []).append(name)
    if not ranked:
        return []
    first = min(ranked, key=lambda rank: (rank[3], *rank[:3]))
    return ranked[first]


def _take(
    found: NormalizedSearch,
    dataset: str,
    root: Path,
    key: ScanKey,
    name: Name,
    names: Sequence[Name],
    wanted: Wanted,
) -> None:
    path, mask = name.path, companion(name, names, "brain", "mask")
    if not_fetched(found, key, path, sidecar_of(path), mask, _beside(path, CONFOUNDS)):
        return
    told = read_sidecar(path, wanted)
    if told is not None and told.excluded is not None:
        found.unusable[key] = told.excluded
        return
    try:
        foreign_of(path, root, wanted.settings)
        _check_mask(mask, path)
        numbers = motion_numbers(path)
    except (BadData, NoInput) as error:
        found.unusable[key] = ("series not usable", str(error))
        return
    facts = told.facts if told else {"quality_numbers": tuple(numbers.items())}
    facts |= {"made_with": "", "settings": {}}  # all of them are denoised anew
    uri = f"bids:{dataset}:{path.relative_to(root).as_posix()}"
    found.images[key] = NormalizedImage(*key, path, mask, {"bold": path}, dataset, uri, **facts)


def _check_mask(mask: Path | None, image: Path) -> None:
    """Refuse a mask of another box than the series', and one that holds half a brain."""
    from bidsapp.intake.header import placement
    from bidsapp.intake.images import open_image, read_numbers

    if mask is None:
        return
    values, affine = read_numbers(mask)
    series = open_image(image)
    if values.shape != series.shape[:3]:
        raise BadData(f"{mask.name} has shape {values.shape}, {image.name} {series.shape[:3]}")
    own = placement(image, series, any_size=True).affine
    apart = np.abs(_middle(values.shape, affine) - _middle(values.shape, own)).max()
    if apart > _SAME_PLACE_MM:
        raise BadData(
            f"{mask.name} lies {apart:.0f} mm away from {image.name} by their headers. Look which "
            "of them is right, or leave the person out"
        )
    volume = float((values > 0.5).sum() * abs(np.linalg.det(affine[:3, :3]))) / 1000
    if volume < _LEAST_BRAIN_ML:
        raise BadData(
            f"{mask.name} holds {volume:.0f} ml; a brain in MNI space has 1,700 ml or more, and "
            f"at least {_LEAST_BRAIN_ML:.0f} are needed. Look at the registration"
        )


def _middle(shape: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """Give the middle of a box in mm, in whatever order its voxels are stored."""
    return np.asarray(affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3])


def _beside(image: Path, ends: Sequence[str]) -> Path | None:
    """Find the table of the same run whose name ends so, with fewer entities or as many."""
    own = [pair for pair in image.name.split("_bold.")[0].split("_") if pair]
    run = [pair for pair in own if pair.split("-")[0] not in _OF_THE_GRID]
    plain = [pair for pair in run if pair.split("-")[0] != "setting"]
    for end in ends:
        for stem in (run, plain):
            path = image.with_name(f"{'_'.join(stem)}_{end}")
            if path.is_file():
                return path
    return None


def _numbers(path: Path) -> "pd.DataFrame":
    """Read a table of numbers; n/a is NaN."""
    import pandas as pd

    try:
        table = read_frame(path)
    except (OSError, ValueError) as error:
        raise BadData(f"{path.name} cannot be read: {error}") from error
    for column in table:
        table[column] = pd.to_numeric(table[column], errors="coerce")
    return table

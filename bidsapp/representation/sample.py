"""One scan of one participant, read from its normalised images as a network sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from bidsapp.contracts.modality_tables import channel_named
from bidsapp.contracts.space import Space
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.images import open_image
from bidsapp.recipes.images import Representation
from bidsapp.representation.spec import space_of
from bidsapp.spaces.files import read_whole

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort


FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class CohortRow:
    """One scan of one participant: where each channel's normalised image lies.

    Attributes
    ----------
    participant_id, session_id
        With their prefixes (``sub-01``, ``ses-1``); `session_id` is empty where there is none.
    part_id
        Which part of the scan; empty where a scan is one unit.
    images
        Channel name to image file, all on the same template grid.
    """

    participant_id: str
    session_id: str
    images: Mapping[str, Path]
    part_id: str = ""


def cohort_rows(cohort: "Cohort") -> list[CohortRow]:
    """Say where the channels of every scan lie."""
    return [
        CohortRow(scan.participant_id, scan.session_id, scan.channels, scan.part)
        for scan in cohort.files
    ]


def read_sample(
    row: CohortRow, spec: Representation, template_mask: np.ndarray | None = None
) -> tuple[np.ndarray, Space]:
    """Read one scan as a network sees it before the z-score.

    Returns
    -------
    sample
        float32, shape (C, X, Y, Z), or (C, X, Y) of pictures; of a series a channel a volume.
    space
        Where it lies.

    Raises
    ------
    NoInput
        If an image is missing.
    BadData
        If it cannot be read, is not what the recipe's kind needs (one 3D volume), holds NaN or
        infinite values, does not fit float16 or cannot be scaled, or if the channels differ in
        grid.
    """
    blocks, window = [], None
    for name in spec.channels:
        path, channel = image_of(row, name), channel_named(name)
        whole = read_whole(path)
        if channel.series:
            whole = whole._replace(values=_over_time(whole.values, path))
        one = whole._replace(values=whole.values[0]) if channel.series else whole
        try:
            here = space_of(spec, one)
        except BadData as error:
            raise BadData(f"{path}: {error}") from error
        volume = whole.values
        if window is not None and not here.same_whole(window):
            raise BadData(
                f"{path} lies on another grid than {image_of(row, spec.channels[0]).name}"
            )
        if not np.isfinite(volume).all():
            raise BadData(f"{path} holds NaN or infinite values")
        if np.abs(volume).max() * channel.scale > FLOAT16_MAX:
            raise BadData(f"{path} holds values beyond ±{FLOAT16_MAX:g}; is it min–max scaled?")
        if channel.masked:
            volume = _masked(volume, template_mask, path)
        if spec.scaling == "robust" and channel.arbitrary:
            try:
                volume = robust_scaling(volume)
            except ValueError as error:
                raise BadData(f"{path} cannot be scaled: {error}") from error
        window = window or here
        block = here.cut(volume * np.float32(channel.scale))
        blocks.append(block if channel.series else block[None])
    assert window is not None
    return np.concatenate(blocks), window


def volumes_of(row: CohortRow, spec: Representation) -> int:
    """Count the volumes of a scan's series by its header; 0 where no channel is a series.

    Raises
    ------
    NoInput, BadData
        As `read_sample`.
    """
    for name in spec.channels:
        if channel_named(name).series:
            path = image_of(row, name)
            shape = open_image(path).shape
            return int(shape[3]) if len(shape) == 4 else _no_series(path, shape)
    return 0


def lengthened(sample: np.ndarray, volumes: int) -> np.ndarray:
    """Give a series so many volumes: those that it lacks are zeros.

    Raises
    ------
    BadData
        It has more.
    """
    if len(sample) > volumes:
        raise BadData(f"{len(sample)} volumes, and {volumes} at most are taken")
    whole = np.zeros((volumes, *sample.shape[1:]), sample.dtype)
    whole[: len(sample)] = sample
    return whole


def _over_time(values: np.ndarray, path: Path) -> np.ndarray:
    """Give a series with time first."""
    if values.ndim != 4:
        _no_series(path, values.shape)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _no_series(path: Path, shape: tuple[int, ...]) -> NoReturn:
    raise BadData(f"{path} has shape {shape}; a series of volumes (4D) is expected")


def read_mask(path: Path) -> np.ndarray:
    """Read the mask of prepared maps as booleans, of their shape."""
    return read_whole(path).values > 0.5


def _masked(volume: np.ndarray, mask: np.ndarray | None, path: Path) -> np.ndarray:
    if mask is None or mask.shape != volume.shape[-mask.ndim :]:
        found = None if mask is None else mask.shape
        raise BadData(f"{path}: the template's brain mask has shape {found}, not {volume.shape}")
    return np.where(mask, volume, np.float32(0))


def image_of(row: CohortRow, channel: str) -> Path:
    """Find the file of a channel, or raise NoInput with the participant's name."""
    path = row.images.get(channel)
    if path is None or not path.is_file():
        where = "none is named" if path is None else f"{path} is not there"
        raise NoInput(f"{row.participant_id} {row.session_id}: no {channel} image, {where}")
    return path


# The interquartile range of a normal distribution, in standard deviations.
IQR_PER_SD = 1.3489795


def robust_scaling(volume: np.ndarray) -> np.ndarray:
    """Give the brain median 0 and interquartile range 1.349, and the background 0.

    Min–max hangs on two voxels, the brightest of which is often a vessel: in a cohort the mean of
    the brain then differs between people by a factor of two, which says nothing about them.

    Parameters
    ----------
    volume
        Normalised image, (X, Y, Z), 0 outside of the brain.

    Returns
    -------
    numpy.ndarray
        float32, the same shape; a unit is the standard deviation that a normal distribution with
        this interquartile range has.

    Raises
    ------
    ValueError
        If the image is 0 everywhere, or half of its brain has one value.
    """
    brain = volume != 0
    if not brain.any():
        raise ValueError("it is 0 everywhere")
    low, middle, high = np.percentile(volume[brain], (25, 50, 75))
    if not high > low:
        raise ValueError("half of its brain or more has one and the same value")
    scaled = (volume - np.float32(middle)) * np.float32(IQR_PER_SD / (high - low))
    return np.where(brain, scaled, np.float32(0)).astype(np.float32)

"""The whole cohort as one array on disk: built once, keyed by what is in it, memory-mapped."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.modality_tables import channel_named
from bidsapp.contracts.product import volume_names
from bidsapp.contracts.space import Space
from bidsapp.contracts.unit import PART, PARTICIPANT, SESSION, Unit
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.derivatives.sidecars import file_sha256, plain_sha256
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.recipes.images import Representation
from bidsapp.representation.image_rows import reserve
from bidsapp.representation.sample import CohortRow, image_of, read_mask, read_sample, volumes_of
from bidsapp.spaces import read_space

LOGGER = logging.getLogger("nocicast")
FORMAT = 1
SHAPED_BY = ("kind", "plane", "slices", "pad", "scaling")


@dataclass(frozen=True)
class CohortArray:
    """A cohort's images as one float16 array of shape (N, C, X, Y[, Z]) in a file.

    Of series the channels are volumes, in time; those that a shorter one lacks are zeros.

    Attributes
    ----------
    path
        The ``.npy`` file; its description is the ``.json`` beside it.
    participants, sessions
        Row by row, N texts each.
    parts
        Likewise, N texts; none where scans have no parts.
    volumes
        Of each row's series; none where the channels are maps.
    channels
        Names of the C channels.
    space
        The space in which the array's voxels lie.
    key
        Hash of the images and of everything that shaped the array.
    """

    path: Path
    participants: tuple[str, ...]
    sessions: tuple[str, ...]
    channels: tuple[str, ...]
    space: Space
    key: str
    parts: tuple[str, ...] = ()
    volumes: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, X, Y, Z), or (N, C, X, Y) of pictures."""
        return (len(self.participants), len(self.channels), *self.space.shape)

    @property
    def units(self) -> list[Unit]:
        """Whose image each row is."""
        parts = self.parts or ("",) * len(self.participants)
        rows = zip(self.participants, self.sessions, parts, strict=True)
        return [Unit.of(dict(zip((PARTICIPANT, SESSION, PART), row, strict=True))) for row in rows]

    @property
    def nbytes(self) -> int:
        """Size in bytes as float16."""
        return int(np.prod(self.shape)) * 2

    def open(self) -> np.ndarray:
        """Open the array, memory-mapped and read-only, float16, shape (N, C, X, Y, Z)."""
        return np.load(self.path, mmap_mode="r", allow_pickle=False)

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of what `show` gives."""
        if not self.volumes:
            return self.channels
        return (f"{self.channels[0].rpartition('_')[0]} (SD over time)",)

    def show(self, row: int) -> np.ndarray:
        """Give what of a row's image can be looked at: its maps, or how much its series changes.

        Returns
        -------
        numpy.ndarray
            Shape (C, X, Y, Z), a map for each name of `shown`.
        """
        image: np.ndarray = self.open()[row]
        if not self.volumes:
            return image
        return image[: self.volumes[row]].std(axis=0, dtype=np.float64)[None]

    def rows_of(self, participants: Sequence[str]) -> np.ndarray:
        """Ascending row numbers of all scans of these participants.

        Raises
        ------
        BadData
            If one of them has no scan in the array.
        """
        wanted = set(participants)
        missing = sorted(wanted - set(self.participants))
        if missing:
            raise BadData(f"{self.path.name} holds no image of {', '.join(missing[:5])}")
        return np.array([i for i, p in enumerate(self.participants) if p in wanted], int)

    @classmethod
    def load(cls, path: Path) -> "CohortArray":
        """Open an array that `build_cohort_array` wrote, and check that it is whole.

        Raises
        ------
        NoInput
            If the array or its description is not there.
        BadData
            If the two do not belong together, or either was changed since.
        """
        sidecar = path.with_suffix(".json")
        for file in (path, sidecar):
            if not file.is_file():
                raise NoInput(f"the cohort's array cannot be opened: {file} is not there")
        about = _sealed(sidecar, _state(sidecar), _state(path))
        if not about:
            raise BadData(f"{path} or {sidecar.name} is damaged; run again, and both are made anew")
        try:
            data = np.load(path, mmap_mode="r", allow_pickle=False)
            found = cls(
                path,
                tuple(about["participants"]),
                tuple(about["sessions"]),
                _channel_names(about),
                read_space(about["window"]),
                about["key"],
                tuple(about.get("parts", ())),
                tuple(about.get("volumes", ())),
            )
        except OSError as error:
            raise NoInput(f"the cohort's array cannot be opened: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(
                f"{path} or {sidecar.name} is damaged ({error}); run again, and both are made anew"
            ) from error
        if data.dtype != np.float16 or data.shape != found.shape:
            raise BadData(
                f"{path} holds {data.dtype} of shape {data.shape}, its description says float16 "
                f"of shape {found.shape}; run again, and both are made anew"
            )
        return found


def build_cohort_array(
    rows: Sequence[CohortRow],
    spec: Representation,
    folder: Path,
    template_mask: Path | None = None,
) -> CohortArray:
    """Read every image once and write the cohort's array, or open the one that is there already.

    Many processes may call this at once: each writes a file of its own and moves it into place
    whole, and equal keys mean equal contents.

    Parameters
    ----------
    rows
        The scans, in the order of the array's rows.
    spec
        Volume and channels; the z-score is applied later, as it depends on the fold.
    folder
        Where arrays are kept; made if need be.
    template_mask
        The template's brain mask on the images' grid; needed for channels that are masked.

    Returns
    -------
    CohortArray

    Raises
    ------
    UsageError
        If a masked channel is asked for without a mask.
    NoInput
        If an image is missing.
    BadData
        If images differ in grid, hold NaN or infinite values, or do not fit float16.
    InputOutputError
        If the disk has no room for the array; nothing is left of it.
    """
    if not rows:
        raise BadData("the cohort is empty: there is no image to make an array of")
    masked = any(channel_named(name).masked for name in spec.channels)
    if masked and template_mask is None:
        names = [name for name in spec.channels if channel_named(name).masked]
        raise UsageError(
            f"representation.channels: {', '.join(names)} needs the template's brain mask"
        )
    hashes = [[file_sha256(image_of(row, name)) for name in spec.channels] for row in rows]
    about: dict[str, Any] = {
        "format": FORMAT,
        "participants": [row.participant_id for row in rows],
        "sessions": [row.session_id for row in rows],
        **({"parts": [row.part_id for row in rows]} if any(row.part_id for row in rows) else {}),
        "sha256": hashes,
        "mask_sha256": file_sha256(template_mask) if masked and template_mask else None,
        "representation": {key: getattr(spec, key) for key in SHAPED_BY},
        "channels": [
            {
                "name": channel.name,
                "unit": channel.unit,
                "scale": channel.scale,
                "masked": channel.masked,
            }
            for channel in (channel_named(name) for name in spec.channels)
        ],
    }
    volumes = [volumes_of(row, spec) for row in rows]
    if any(volumes):
        about["volumes"] = volumes
    key = plain_sha256(about)
    path = folder / f"cohort-{key[:16]}.npy"
    if path.is_file() and path.with_suffix(".json").is_file():
        try:
            return CohortArray.load(path)
        except BadData as error:
            LOGGER.warning("%s", str(error).replace("run again, and both are", "both are"))
            path.with_suffix(".json").unlink(missing_ok=True)
    mask = read_mask(template_mask) if masked and template_mask else None
    window = read_sample(rows[0], spec, mask)[1]
    shape = (len(rows), len(_channel_names(about)), *window.shape)
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        reserve(temporary)
        _fill(array, rows, spec, mask)
        array.flush()
        del array
    # The description comes last: where it is, the array beside it is whole.
    about |= {"key": key, "window": window.to_dict()}
    write_record(path.with_suffix(".json"), about, [path])
    return CohortArray.load(path)


def _channel_names(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the channels of an array by its description: maps, or the volumes of the longest."""
    names = tuple(str(channel["name"]) for channel in about["channels"])
    longest = max(about.get("volumes", ()), default=0)
    return volume_names(names[0], int(longest)) if longest else names


def _state(path: Path) -> tuple[int, int, int]:
    """Give size, time and place of a file, which change with its contents."""
    about = path.stat()
    return about.st_size, about.st_mtime_ns, about.st_ino


@lru_cache(maxsize=64)
def _sealed(sidecar: Path, *_states: tuple[int, int, int]) -> dict[str, Any]:
    """Read an array's description and compare the array's hash, once in a process."""
    return read_record(sidecar)


def _fill(
    array: np.ndarray, rows: Sequence[CohortRow], spec: Representation, mask: np.ndarray | None
) -> None:
    for i, row in enumerate(rows):
        sample, window = read_sample(row, spec, mask)
        if i == 0:
            first = window
        elif not window.same_whole(first):
            raise BadData(
                f"{image_of(row, spec.channels[0])} lies on a grid of {window.whole_shape}, the "
                f"first image on {first.whole_shape} (or at another place); "
                "prepare the cohort with one recipe"
            )
        array[i, : len(sample)] = sample

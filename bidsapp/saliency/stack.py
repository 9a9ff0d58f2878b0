"""A stack of participant maps: one variant, one method, every held-out scan, in one space."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.space import Space
from bidsapp.contracts.unit import PART, SESSION, with_part
from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.derivatives import atomic_path, write_json
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.json_text import read_own_json
from bidsapp.spaces import read_space

COLUMNS = (
    "participant_id",
    "session_id",
    "repeat",
    "fold",
    "outcome",
    "probability",
    "model_sha256",
)


@dataclass(frozen=True)
class MapStack:
    """Maps of held-out people, signed, where the network saw them.

    Attributes
    ----------
    rows
        One line a map, with `COLUMNS`; outcome is 0 or 1, probability in 0…1 (held out).
    values
        (maps, channels, *shape of the space) float32, in the order of `rows`.
    channels
        Names of the channels; one name ``all`` where a method has no map per channel.
    space
        Where the values lie.
    about
        variant, method, target, units, threshold and role, as JSON holds them.
    """

    rows: pd.DataFrame
    values: np.ndarray
    channels: tuple[str, ...]
    space: Space
    about: dict[str, Any]

    def combined(self) -> np.ndarray:
        """Sum over channels: (maps, *shape of the space) float32."""
        return self.values.sum(axis=1)

    def write(self, folder: Path) -> None:
        """Write `maps.npy`, `maps.tsv` and, last, `maps.json`."""
        _write(self, self.values, folder)


def stack_files(folder: Path) -> list[Path]:
    """Files of a stack."""
    return [folder / name for name in ("maps.npy", "maps.tsv", "maps.json")]


def read_stack(folder: Path) -> MapStack:
    """Read a stack; the values are memory-mapped.

    Raises
    ------
    NoInput
        If a file is missing.
    BadData
        If the files do not belong together.
    """
    try:
        about = read_own_json(folder / "maps.json")
        rows = read_frame(folder / "maps.tsv", {SESSION: str, PART: str}, ["n/a", ""])
        values = np.load(folder / "maps.npy", mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise NoInput(f"{folder}: no stack of maps: {error}") from error
    channels: Sequence[str] = about.pop("channels")
    space = read_space(about.pop("window"))
    if values.shape != (len(rows), len(channels), *space.shape):
        raise BadData(f"{folder}: maps.npy has shape {values.shape}, which maps.tsv does not fit")
    return MapStack(rows, values, tuple(channels), space, about)


def together(folders: Sequence[Path]) -> MapStack:
    """Read the stacks of several folds as one, in their order; nothing is written.

    Its values are an array of memory-mapped maps, (maps,) objects, to be taken map by map.
    """
    stacks = [read_stack(folder) for folder in folders]
    maps = [one for stack in stacks for one in stack.values]
    values = np.empty(len(maps), object)
    for place, one in enumerate(maps):
        values[place] = one
    rows = pd.concat([stack.rows for stack in stacks], ignore_index=True)
    return replace(stacks[0], rows=rows, values=values)


def join(folders: Sequence[Path], into: Path) -> MapStack:
    """Put the stacks of several folds together, in their order, map by map.

    All maps at once would fill the memory: a thousand of 30 components at 2 mm take 27 GB.

    Parameters
    ----------
    folders
        Of the stacks.
    into
        Folder of what is joined; its values are memory-mapped.
    """
    stacks = [read_stack(folder) for folder in folders]
    rows = pd.concat([stack.rows for stack in stacks], ignore_index=True)
    _write(replace(stacks[0], rows=rows), (one for stack in stacks for one in stack.values), into)
    return read_stack(into)


def _write(stack: MapStack, values: Iterable[np.ndarray], folder: Path) -> None:
    """Write a stack whose maps come one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(stack.rows), len(stack.channels), *stack.space.shape)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with atomic_path(folder / "maps.npy") as path, path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for one in values:  # a memory map would end the process where the disk is full
            file.write(np.ascontiguousarray(one, "<f4").data)
    write_table(folder / "maps.tsv", stack.rows[with_part(COLUMNS, stack.rows)])
    about = stack.about | {"channels": list(stack.channels), "window": stack.space.to_dict()}
    write_json(folder / "maps.json", about)

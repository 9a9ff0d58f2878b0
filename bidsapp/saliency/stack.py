"""A stack of participant maps: one variant, one method, every held-out scan, in one space."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
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
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "maps.npy") as path:
            np.save(path, np.asarray(self.values, np.float32))
        write_table(folder / "maps.tsv", self.rows[with_part(COLUMNS, self.rows)])
        about = self.about | {"channels": list(self.channels), "window": self.space.to_dict()}
        write_json(folder / "maps.json", about)


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


def join(stacks: Sequence[MapStack]) -> MapStack:
    """Put the stacks of several folds together, in their order."""
    first = stacks[0]
    rows = pd.concat([stack.rows for stack in stacks], ignore_index=True)
    values = np.concatenate([stack.values for stack in stacks])
    return MapStack(rows, values, first.channels, first.space, json.loads(json.dumps(first.about)))

"""Held-out people's own maps of components, and maps of what moves networks, matched over folds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bidsapp.saliency.attribute import images_of, lens_of
from bidsapp.saliency.component_table import Joined
from bidsapp.saliency.stack import MapStack, read_stack

if TYPE_CHECKING:
    from bidsapp.saliency.plan import ExplainStep


def matched_channels(steps: "Sequence[ExplainStep]", joined: Joined, file: Path) -> MapStack | None:
    """Bring the channels of every fold's maps into the order of the first fold's components.

    Parameters
    ----------
    steps
        Of one variant; those of held-out people are read.
    joined
        Which component of a fold goes with which of the first.
    file
        Where the values go (``.npy``); they are read from there.

    Returns
    -------
    MapStack or None
        0 where a fold's network has no such component. None where all folds have the same
        components under the same names, or maps are not made channel by channel.
    """
    own = [step for step in steps if step.kind == "test"]
    stacks = [read_stack(step.folder) for step in own]
    if len(stacks[0].channels) < 2 or joined.same:
        return None

    def values() -> Iterator[np.ndarray]:
        for fold, (step, stack) in enumerate(zip(own, stacks, strict=True)):
            seen = _seen(step)
            yield from _in_order(stack.values, joined, fold, seen, np.float32(0))

    rows = pd.concat([stack.rows for stack in stacks], ignore_index=True)
    return _kept(values(), rows, joined, stacks[0], file)


def own_maps(steps: "Sequence[ExplainStep]", joined: Joined, file: Path) -> MapStack:
    """Give held-out people's maps of the components, as their fold's step makes them.

    Parameters as of `matched_channels`. NaN where a fold has no such component.
    """
    own = [step for step in steps if step.kind == "test"]
    stacks = [read_stack(step.folder) for step in own]

    def values() -> Iterator[np.ndarray]:
        for fold, step in enumerate(own):
            images = images_of(step.task, step.task.rows("test"), lens_of(step.task)).whole()
            turned = images * _signs(joined, fold, _seen(step))
            yield from _in_order(turned, joined, fold, _seen(step), np.float32(np.nan))

    rows = pd.concat([stack.rows for stack in stacks], ignore_index=True)
    return _kept(values(), rows, joined, stacks[0], file)


def _seen(step: "ExplainStep") -> list[int]:
    """Give the numbers of a fold's components that are its network's channels, in their order."""
    given, fitted = step.task.images.channels, lens_of(step.task).fitted
    names = list(fitted.group_maps(given))
    return [names.index(name) for name in fitted.channels(given)]


def _in_order(
    values: np.ndarray, joined: Joined, fold: int, seen: Sequence[int], absent: np.float32
) -> Iterator[np.ndarray]:
    for one in values:
        whole = np.full((len(joined.names), *one.shape[1:]), absent, np.float32)
        for reference in np.flatnonzero(joined.found[fold]):
            whole[reference] = one[seen.index(int(joined.number[fold, reference]))]
        yield whole


def _signs(joined: Joined, fold: int, seen: Sequence[int]) -> np.ndarray:
    """-1 for channels whose map is that of the first fold turned round."""
    signs = np.ones((len(seen), 1, 1, 1), np.float32)
    for reference in np.flatnonzero(joined.found[fold]):
        signs[seen.index(int(joined.number[fold, reference]))] = joined.sign[fold, reference]
    return signs


def _kept(
    values: Iterator[np.ndarray], rows: pd.DataFrame, joined: Joined, first: MapStack, file: Path
) -> MapStack:
    """Keep images on disk, one in memory at a time."""
    shape = (len(rows), len(joined.names), *first.space.shape)
    array = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    for place, one in enumerate(values):
        array[place] = one
    array.flush()
    return replace(first, rows=rows, values=array, channels=joined.names)

"""What each component is worth to a fold's network: answers with its channel taken away."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from bidsapp.contracts.fitted import OfMaps
from bidsapp.derivatives import atomic_path
from bidsapp.representation.chain import Chain
from bidsapp.saliency.attribute import Lens, images_of, logits_of
from bidsapp.training.task import FoldTask

FILE = "components.npz"


@dataclass(frozen=True)
class ComponentEffects:
    """The answers of one fold's network for held-out people, component by component.

    Attributes
    ----------
    names
        Of the C components that were found in the fold.
    maps
        float32, shape (C, *space): the group's map of each.
    seen
        Which of them the network is given, booleans, shape (C,).
    logits
        As the network answers, shape (N,).
    without
        As it answers where everybody has the training people's mean map of one component, shape
        (C, N); as `logits` where the network is not given the component.
    """

    names: tuple[str, ...]
    maps: np.ndarray
    seen: np.ndarray
    logits: np.ndarray
    without: np.ndarray

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        arrays = {name: getattr(self, name) for name in ("maps", "seen", "logits", "without")}
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, names=np.array(self.names), **arrays)

    @classmethod
    def read(cls, path: Path) -> "ComponentEffects":
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as found:
            names = tuple(str(name) for name in found["names"])
            return cls(names, found["maps"], found["seen"], found["logits"], found["without"])


def has_components(task: FoldTask) -> bool:
    """Whether the channels of a fold's network are people's copies of a group's maps."""
    return any(isinstance(step, OfMaps) for step in Chain.of(task.recipe.representation).steps)


def component_effects(
    task: FoldTask, network: torch.nn.Module, lens: Lens, rows: np.ndarray
) -> ComponentEffects:
    """Take each component away from the images of some people, and ask the network again.

    A component is replaced by the mean map of the training people, not by zeros, which no person
    has: what is lost is what tells people apart.

    Parameters
    ----------
    task
        The trained fold.
    network
        With its weights.
    lens
        How images are looked at.
    rows
        Of the people, in the cohort's array.
    """
    given = task.images.channels
    group, seen = lens.fitted.group_maps(given), lens.fitted.channels(given)
    held_out = images_of(task, rows, lens)
    training = images_of(task, task.rows("train"), lens)
    mean: np.ndarray = np.zeros(training.shape[1:], np.float64)
    for row in range(len(training)):
        mean += training[row]
    mean /= len(training)
    images = held_out.whole()
    logits = logits_of(network, held_out, task, lens)
    without = np.tile(logits, (len(group), 1))
    for number, name in enumerate(group):
        if name not in seen:
            continue
        channel = seen.index(name)
        own = images[:, channel].copy()
        images[:, channel] = mean[channel]
        changed = replace(held_out, array=images, rows=None, store=None)
        without[number] = logits_of(network, changed, task, lens)
        images[:, channel] = own
    return ComponentEffects(
        tuple(group),
        np.stack(list(group.values())),
        np.array([name in seen for name in group]),
        logits,
        without,
    )

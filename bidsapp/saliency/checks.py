"""What the sanity checks need of one fold: maps of randomised networks, curves, plain images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bidsapp.contracts.space import Smoother, relative_sizes
from bidsapp.recipes.analysis import Saliency
from bidsapp.recipes.known_names import SLOPES
from bidsapp.representation.image_rows import ImageRows
from bidsapp.saliency.attribute import Lens, attribute, images_of, logits_of, map_names
from bidsapp.saliency.masks import mask_of
from bidsapp.saliency.methods import METHODS
from bidsapp.saliency.perturbation import SHARES, effects, perturbation_curves
from bidsapp.saliency.plain_images import judged_mask
from bidsapp.saliency.randomised import cascade
from bidsapp.saliency.stack import MapStack
from bidsapp.saliency.surrogates import Surrogates
from bidsapp.training.task import FoldTask

CHECKED = 4
"""So many positives of a fold are looked at; the first of them."""
PERTURBED = 2
"""Of so many of them voxels are taken away and given."""
RANDOM_ORDERS = 19
"""Random maps that a map is compared with: the largest of 20 has p = .05."""


@dataclass(frozen=True)
class FoldChecks:
    """Sums over the checked people of a fold, and what was found of each.

    Attributes
    ----------
    people
        How many were checked.
    trained
        (X, Y, Z) sum of their maps, over channels too.
    levels, randomised
        Names of the levels drawn anew, and the sum of the same people's maps after each.
    effects
        (perturbed people, 1 + random orders, 2): by how much deletion lowered and insertion
        raised the answer, first in the order of the map, then in those of its surrogates. The k-th
        surrogates of all people and folds of a variant have the same phases.
    either_way
        Whether `effects` count how far the answer moved, not how far it fell and rose.
    curves
        (perturbed people, orders, 2, shares) logits.
    """

    people: int
    trained: np.ndarray
    levels: tuple[str, ...]
    randomised: np.ndarray
    effects: np.ndarray
    curves: np.ndarray
    either_way: bool = False

    def arrays(self) -> dict[str, np.ndarray]:
        """For ``numpy.savez``."""
        return {
            "people": np.array(self.people),
            "trained": self.trained,
            "levels": np.array(self.levels, dtype=str),
            "randomised": self.randomised,
            "effects": self.effects,
            "curves": self.curves,
            "either_way": np.array(self.either_way),
        }

    @classmethod
    def read(cls, path: Path) -> "FoldChecks":
        """Read what was written."""
        with np.load(path, allow_pickle=False) as content:
            return cls.of(content)

    @classmethod
    def of(cls, content: Mapping[str, np.ndarray]) -> "FoldChecks":
        """Make from arrays."""
        return cls(
            int(content["people"]),
            content["trained"],
            tuple(str(name) for name in content["levels"]),
            content["randomised"],
            content["effects"],
            content["curves"],
            bool(content["either_way"]),
        )


def check_fold(
    task: FoldTask,
    network: torch.nn.Module,
    lens: Lens,
    stack: MapStack,
    rows: np.ndarray,
    mask: Path,
) -> FoldChecks:
    """Randomise the weights of a fold's network level by level, and perturb its images.

    Parameters
    ----------
    task
        The fold.
    network
        Its network.
    lens
        How its images are looked at.
    stack
        The maps of its people.
    rows
        Their rows in the cohort's array.
    mask
        The template's brain mask.
    """
    chosen = np.flatnonzero(np.isin(rows, checked_rows(task)))
    images = images_of(task, rows[chosen], lens).loaded()
    names = map_names(stack.rows.iloc[chosen])
    train = task.rows("train")
    inside = judged_mask(task.images, mask_of(stack.space, mask), task.recipe, train)
    levels, maps = [], []
    if len(chosen):
        section = task.recipe.network
        channels = len(lens.fitted.channels(task.images.channels))
        whole = not METHODS[lens.settings.method].cheap
        seed = int(np.random.SeedSequence([*task.seeds, 1]).generate_state(1)[0])
        shape = task.images.space.shape
        for level, drawn in cascade(network, section, channels, seed, whole, shape):
            levels.append(level)
            maps.append(attribute(drawn, images, names, lens).sum(axis=(0, 1)))
    found = _curves(task, network, lens, stack, chosen[:PERTURBED], images, inside)
    either_way = tells_no_direction(lens.settings)
    return FoldChecks(
        people=len(chosen),
        trained=np.asarray(stack.values[chosen].sum(axis=(0, 1)), np.float32),
        levels=tuple(levels),
        randomised=np.array(maps, np.float32).reshape(-1, *stack.space.shape),
        effects=np.array([effects(curves, ends, either_way) for curves, ends in found]).reshape(
            -1, 1 + RANDOM_ORDERS, 2
        ),
        curves=np.array([curves for curves, _ in found]).reshape(
            -1, 1 + RANDOM_ORDERS, 2, len(SHARES)
        ),
        either_way=either_way,
    )


def tells_no_direction(settings: Saliency) -> bool:
    """Tell whether maps say where the answer is moved but not whether these voxels raised it."""
    return settings.method in SLOPES or settings.absolute


def checked_rows(task: FoldTask) -> np.ndarray:
    """Rows of the cohort's array that the checks look at: the first held-out positives.

    Of each participant the first positive scan alone.
    """
    rows = task.rows("test")
    positive = rows[task.table["outcome"].to_numpy()[rows] == 1]
    again = task.table["participant_id"].iloc[positive].duplicated().to_numpy()
    return positive[~again][:CHECKED]


def _curves(
    task: FoldTask,
    network: torch.nn.Module,
    lens: Lens,
    stack: MapStack,
    chosen: np.ndarray,
    images: ImageRows,
    inside: np.ndarray,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Curves of each person, and the answers to the image and to the fill."""
    if not inside.any() or not len(chosen):
        return []
    fill = _mean_image(images_of(task, task.rows("train"), lens))
    sizes = relative_sizes(stack.space, inside)
    smoother = stack.space.smoother(inside, lens.settings.smoothing_fwhm_mm)
    # one seed for all folds: a pattern that has nothing to do with the networks may by chance suit
    # all of them, as they are alike, and so may each of those that it is compared with
    surrogates = Surrogates(inside, RANDOM_ORDERS, task.recipe.training.seed)
    found = []
    for place, row in enumerate(chosen):
        image, whose = images[place], images.picked(np.array([place]))
        own = stack.values[row].sum(axis=0)[inside]
        curves = perturbation_curves(
            partial(_logits_of_one, network, whose, task, lens),
            image,
            fill,
            inside,
            orders(own, smoother, surrogates, tells_no_direction(lens.settings)),
            sizes,
        )
        found.append((curves, logits_of(network, whose.shown(np.stack([image, fill])), task, lens)))
    return found


def _logits_of_one(
    network: torch.nn.Module, whose: ImageRows, task: FoldTask, lens: Lens, changed: np.ndarray
) -> np.ndarray:
    """Logits of changed images of one person."""
    return logits_of(network, whose.shown(changed), task, lens)


def orders(
    own: np.ndarray, smoother: Smoother, surrogates: Surrogates, either_way: bool
) -> Iterator[np.ndarray]:
    """Give the order of a map, (voxels,), smoothed, and those of random maps as smooth.

    Where the map does not say which way the answer goes, its magnitude counts, and theirs.
    """
    signed = bool((own < 0).any())

    def form(values: np.ndarray) -> np.ndarray:
        smooth = smoother(values)
        return np.abs(smooth) if either_way and signed else smooth

    yield form(own)
    yield from map(form, surrogates.of(own))


def _mean_image(images: ImageRows) -> np.ndarray:
    """Mean of stored images, float16."""
    total = np.zeros(images.shape[1:], np.float64)
    for row in range(len(images)):
        total += images[row]
    return (total / len(images)).astype(np.float16)

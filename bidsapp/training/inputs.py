"""What a network is given while it learns: images, or what its fixed part makes of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from bidsapp.networks.predict import channels_last, logit_of, predict_logits
from bidsapp.recipes.learning import Augmentation, Training
from bidsapp.representation.device import autocast
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.training.augment import add_noise, move


@runtime_checkable
class WithFixedPart(Protocol):
    """A network that begins with what has no weights, no state and no random draw.

    ``forward(x)`` is ``learned(fixed(x))``, and the fixed part gives every image by itself the
    same numbers in whatever batch it is.
    """

    def fixed(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y, Z) to what is learned from, (B, ...)."""

    def learned(self, features: torch.Tensor) -> torch.Tensor:
        """Map that to outputs (B, outputs)."""


@dataclass(frozen=True)
class FoldData:
    """The images, labels and rows of one fold, on the device.

    Attributes
    ----------
    cohort
        All images.
    labels
        0 or 1 for every row of the cohort, float32, shape (N,), on the device.
    scale
        What the fitted steps do to a batch after augmentation.
    train, validation, test
        Row numbers.
    flat
        The axis (0, 1, 2) about which alone images are turned, for networks of slices; else None.
    """

    cohort: DeviceCohort
    labels: torch.Tensor
    scale: PerBatch
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    flat: int | None = None


@dataclass(frozen=True)
class Inputs:
    """Batches of a fold's images for a network, and the network that they are for.

    Attributes
    ----------
    network
        As it is trained.
    data, section, dtype
        Of the fold.
    forward
        What batches are given to: the network, or the part of it that learns.
    features
        What the fixed part makes of every row of the cohort, (N, ...) on the device; None where
        batches are images.
    """

    network: torch.nn.Module
    data: FoldData
    section: Training
    dtype: torch.dtype
    forward: Callable[[torch.Tensor], torch.Tensor]
    features: torch.Tensor | None = None

    def batches(
        self, order: Sequence[np.ndarray], generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """Yield what `forward` is given for each batch of row numbers, in this order."""
        if self.features is not None:
            for rows in order:
                yield self.features[torch.as_tensor(rows, device=self.features.device)]
            return
        for rows, images in zip(order, self.data.cohort.batches(order), strict=True):
            yield prepare(images, rows, self.data, self.section, generator)

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Give the logits of rows that are only watched, float64; see `predict_logits`."""
        size, data = self.section.batch_size, self.data
        if self.features is None:
            return predict_logits(self.network, data.cohort, rows, data.scale, self.dtype, size)
        was_training = self.network.training
        self.network.eval()
        found = []
        with torch.inference_mode(), autocast(data.cohort.device, self.dtype):
            for first in range(0, len(rows), size):
                part = torch.as_tensor(rows[first : first + size], device=self.features.device)
                found.append(logit_of(self.forward(self.features[part])).float())
        self.network.train(was_training)
        return torch.cat(found).double().cpu().numpy()


def inputs_of(
    network: torch.nn.Module,
    data: FoldData,
    section: Training,
    dtype: torch.dtype,
    forward: Any,
    watched: Sequence[np.ndarray] = (),
) -> Inputs:
    """Choose what batches hold.

    Where a network has a fixed part and nothing is drawn anew in each epoch, that part is computed
    once for each image instead of in every epoch: with the same bits, and a network that learns
    from a few numbers of each image then learns in no time.

    Parameters
    ----------
    network, data, section, dtype
        As of `Inputs`.
    forward
        The network, compiled or not.
    watched
        Rows beside those of training that are looked at in every epoch.
    """
    # hooks and columns change what the network is given before its fixed part sees it
    as_it_is = not network._forward_pre_hooks and data.scale.beside is None
    if not (isinstance(network, WithFixedPart) and as_it_is and section.augmentation == _NONE):
        return Inputs(network, data, section, dtype, forward)
    features: torch.Tensor | None = None
    rows = np.unique(np.concatenate([data.train, *watched]))
    size = section.batch_size
    order = [rows[first : first + size] for first in range(0, len(rows), size)]
    with torch.no_grad():
        for part, images in zip(order, data.cohort.batches(order), strict=True):
            x = channels_last(data.scale(images, part))
            with autocast(data.cohort.device, dtype):
                found = network.fixed(x)
            if features is None:
                features = found.new_zeros((len(data.labels), *found.shape[1:]))
            features[torch.as_tensor(part, device=features.device)] = found
    return Inputs(network, data, section, dtype, network.learned, features)


_NONE = Augmentation()


def prepare(
    images: torch.Tensor,
    rows: np.ndarray,
    data: FoldData,
    section: Training,
    generator: torch.Generator,
) -> torch.Tensor:
    """Turn stored images into the network's input: augment, apply what was fitted, add noise.

    Returns
    -------
    torch.Tensor
        float32, channels last, shape (B, C, X, Y[, Z]).
    """
    moved = move(images.float(), section.augmentation, generator, flat=data.flat)
    x = data.scale.scaled(moved, rows)
    x = add_noise(x, section.augmentation.noise, generator)
    return channels_last(data.scale.joined(x, rows))

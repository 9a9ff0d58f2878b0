"""The cohort on the device: one resident tensor when it fits, else streamed, with equal results."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import psutil
import torch

from bidsapp.representation.chain import Chain, Numbers
from bidsapp.representation.image_rows import ImageRows

LOGGER = logging.getLogger("nocicast")

# A resident cohort may take this share of what is free; activations need the rest.
RESIDENT_SHARE = 0.4
STREAM_BYTES = 256 * 2**20


class DeviceCohort:
    """Batches of a cohort's images on a device, float16, shape (B, C, X, Y, Z).

    Parameters
    ----------
    images
        Of the cohort, usually memory-mapped.
    device
        Where batches are wanted.
    budget_bytes
        The most the resident tensor may take; by default a share of the device's free memory.

    Attributes
    ----------
    resident
        The whole cohort on the device, or None when it is streamed.
    """

    def __init__(
        self, images: ImageRows, device: torch.device, budget_bytes: float | None = None
    ) -> None:
        self.images = images
        self.device = device
        self.resident: torch.Tensor | None = None
        budget = _free_bytes(device) * RESIDENT_SHARE if budget_bytes is None else budget_bytes
        reason = f"{images.nbytes / 1e9:.3g} GB, planned for are {budget / 1e9:.3g} GB"
        if images.nbytes <= budget:
            try:
                self.resident = torch.from_numpy(images.whole()).to(device)
            except (MemoryError, torch.OutOfMemoryError) as error:
                reason = str(error).split(".")[0]
        if self.resident is None:
            LOGGER.warning(
                "the cohort does not fit on %s (%s): streaming it in chunks, with the same "
                "results but slower",
                device,
                reason,
            )

    def batches(self, order: Sequence[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the images of each batch of row numbers, in this order."""
        if self.resident is not None:
            for rows in order:
                yield self.resident[torch.as_tensor(rows, device=self.device)]
            return
        chunks = list(self._chunks(order))
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, chunks[0]) if chunks else None
            for i, chunk in enumerate(chunks):
                assert ahead is not None
                block = ahead.result()
                if i + 1 < len(chunks):
                    ahead = reader.submit(self._read, chunks[i + 1])
                block = block.to(self.device, non_blocking=True)
                yield from block.split([len(rows) for rows in chunk])

    def _chunks(self, order: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
        most = max(1, STREAM_BYTES // max(1, self.images.nbytes // max(1, len(self.images))))
        chunk: list[np.ndarray] = []
        for rows in order:
            if chunk and sum(map(len, chunk)) + len(rows) > most:
                yield chunk
                chunk = []
            chunk.append(rows)
        if chunk:
            yield chunk

    def _read(self, chunk: list[np.ndarray]) -> torch.Tensor:
        block = torch.from_numpy(self.images.read(np.concatenate(chunk)))
        return block.pin_memory() if self.device.type == "cuda" else block


@dataclass(frozen=True)
class PerBatch:
    """What the fitted steps do that are applied to batches: subtract and divide, one by one.

    Attributes
    ----------
    pairs
        What is subtracted and what is divided by, for every row of a cohort and each channel:
        float32, (N, C) each, on the device.
    beside
        Numbers of every row from columns of the cohort table, (N, K), which become channels behind
        those of the image, each the same at all voxels; None where there are none.
    """

    pairs: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    beside: torch.Tensor | None = None

    @classmethod
    def of(cls, device: torch.device, chain: Chain, images: ImageRows) -> Self:
        """Take what fitted steps do to batches of these images to a device."""
        found = cls.on(device, chain.numbers(images, np.arange(len(images))))
        beside = chain.beside(images)
        if beside is None:
            return found
        return replace(found, beside=torch.from_numpy(beside).to(device))

    @classmethod
    def on(cls, device: torch.device, numbers: Sequence[Numbers]) -> Self:
        """Take what `Chain.numbers` gives to a device."""
        return cls(
            tuple(
                (torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)) for a, b in numbers
            )
        )

    def __call__(self, images: torch.Tensor, rows: np.ndarray | slice) -> torch.Tensor:
        """Apply the steps to the images of these rows, (B, C, X, Y, Z); float32, with columns."""
        return self.joined(self.scaled(images, rows), rows)

    def scaled(self, images: torch.Tensor, rows: np.ndarray | slice) -> torch.Tensor:
        """Apply the steps alone."""
        x = images.float()
        for mean, sd in self.pairs:
            x = normalise(x, mean[rows], sd[rows])
        return x

    def joined(self, x: torch.Tensor, rows: np.ndarray | slice) -> torch.Tensor:
        """Put the columns of these rows behind the channels, where there are columns."""
        if self.beside is None:
            return x
        own = self.beside[rows]
        planes = own.view(*own.shape, *(1,) * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
        return torch.cat([x, planes], dim=1)


def normalise(images: torch.Tensor, mean: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
    """Float32 images minus `mean` over `sd`, both of shape (B, C)."""
    shape = (*mean.shape, *(1,) * (images.ndim - mean.ndim))
    return (images.float() - mean.view(shape)) / sd.view(shape)


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)

"""Maps of some images by one network: what was fitted, batches, the form the recipe asks for."""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from bidsapp.contracts.unit import unit_columns
from bidsapp.errors import UsageError
from bidsapp.networks.predict import place, predict_logits
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.chain import Chain
from bidsapp.representation.device import precision_dtype, resolve_device
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.saliency.methods import METHODS, Answer, Question
from bidsapp.training.fold import fitted_of
from bidsapp.training.task import FoldTask


@dataclass(frozen=True)
class Lens:
    """How images are looked at: everything about their maps but the network.

    Attributes
    ----------
    settings
        The recipe's saliency section.
    fitted
        The steps of the representation, of the fold that the network was trained in.
    voxel_mm
        Edge lengths of a voxel.
    device
        Where to compute.
    at_once
        Images in a batch.
    seed
        Of methods that draw.
    """

    settings: Saliency
    fitted: Chain
    voxel_mm: tuple[float, ...]
    device: torch.device
    at_once: int
    seed: int = 0


def lens_of(task: FoldTask) -> Lens:
    """How a trained fold's images are looked at."""
    return Lens(
        settings=task.recipe.saliency,
        fitted=fitted_of(task),
        voxel_mm=task.images.space.spacing,
        device=resolve_device(task.device),
        at_once=task.recipe.training.batch_size,
        seed=task.recipe.training.seed,
    )


def images_of(task: FoldTask, rows: np.ndarray, lens: Lens) -> ImageRows:
    """Images of a fold's people as its steps store them, by rows of the cohort's array."""
    return lens.fitted.stored(task.image_rows.picked(rows), task.folder)


def logits_of(
    network: torch.nn.Module, images: ImageRows | np.ndarray, task: FoldTask, lens: Lens
) -> np.ndarray:
    """Logits of stored images, in the precision in which the fold was scored."""
    stored, rows = _in_rows(images), np.arange(len(images))
    scale = PerBatch.of(lens.device, lens.fitted, stored)
    dtype = precision_dtype(task.recipe.training.precision, lens.device)
    cohort = DeviceCohort(stored, lens.device)
    place(network, lens.device)
    return predict_logits(network, cohort, rows, scale, dtype, lens.at_once)


def attribute(
    network: torch.nn.Module,
    images: ImageRows | np.ndarray,
    names: Sequence[str],
    lens: Lens,
) -> np.ndarray:
    """Explain a network's answer for each of some images.

    The arithmetic is float32, TF32 off, whatever training used: 3D bfloat16 gradients are wrong
    on some CPUs, and eight bits of a gradient are few.

    Parameters
    ----------
    network
        With its weights; it is moved to the device, and left in evaluation mode.
    images
        Stored images (`images_of`), float16, (N, C, X, Y[, Z]); with the columns of their people
        where the network takes columns. They stay as they are, and no map is of them.
    names
        One for each image; with the seed it decides what is drawn for that image.
    lens
        How.

    Returns
    -------
    numpy.ndarray
        float32, (N, C or 1, X, Y[, Z]); signed unless ``settings.absolute``.
    """
    settings, method = lens.settings, METHODS[lens.settings.method]
    answer = Answer(network.to(lens.device), settings.target)
    stored = _in_rows(images)
    scale = PerBatch.of(lens.device, lens.fitted, stored)
    channels = stored.shape[1]
    seeds = [zlib.crc32(f"{lens.seed} {name}".encode()) for name in names]
    points = (1,) * (len(stored.shape) - 2)
    found: list[np.ndarray] = []
    start, at_once = 0, lens.at_once
    with exact(lens.device):
        while start < len(stored):
            part = slice(start, start + at_once)
            some = np.arange(start, min(start + at_once, len(stored)))
            given = torch.from_numpy(np.array(stored.read(some))).to(lens.device)
            question = Question(
                answer,
                settings,
                scale(torch.zeros(*given.shape[:2], *points, device=lens.device), part),
                lens.voxel_mm,
                seeds[part],
                at_once,
            )
            try:
                x = scale(given, part)
                maps = method.explain(x, question)
                if maps.shape[1] == x.shape[1]:
                    maps = maps[:, :channels]
                found.append(_in_form(maps, settings).cpu().numpy())
            except torch.OutOfMemoryError as error:
                if at_once == 1:
                    raise UsageError(
                        f"{lens.device} has too little memory to explain one image by "
                        f"{settings.method}; use another device, or --no-saliency"
                    ) from error
                # float32 takes more room than the bfloat16 of training, a map is of one image
                at_once //= 2
                torch.cuda.empty_cache()
                continue
            start += at_once
    empty = np.empty((0, len(map_channels(settings, channels * ["?"])), *stored.shape[2:]))
    return np.concatenate(found) if found else empty.astype(np.float32)


def _in_rows(images: ImageRows | np.ndarray) -> ImageRows:
    return images if isinstance(images, ImageRows) else ImageRows(images)


def map_names(rows: pd.DataFrame) -> list[str]:
    """Names of units (participant, session, part), by which methods that draw know them."""
    return [" ".join(map(str, row)) for row in rows[unit_columns(rows)].itertuples(index=False)]


def map_channels(settings: Saliency, channels: Sequence[str]) -> tuple[str, ...]:
    """Names of the maps' channels: the images' own, or one name where there is one map for all."""
    per_channel = METHODS[settings.method].per_channel and not settings.absolute
    return tuple(channels) if per_channel else ("all",)


def units_of(settings: Saliency, given: str) -> str:
    """Say what one unit of a map is.

    Parameters
    ----------
    settings
        The recipe's saliency section.
    given
        What a unit of the network's input is (`Representation.input_unit`).
    """
    if settings.scale == "minmax":
        return "1 (each map scaled to 0..1 by itself)"
    text = METHODS[settings.method].unit.format(target=settings.target, input=given)
    return f"absolute {text}" if settings.absolute else text


def _in_form(maps: torch.Tensor, settings: Saliency) -> torch.Tensor:
    """Bring maps into the recipe's form, as Attias et al. 2025 printed theirs if it says so."""
    if settings.absolute:
        maps = maps.abs().amax(dim=1, keepdim=True)
    if settings.scale == "minmax":
        all_but_images = tuple(range(1, maps.ndim))
        low = maps.amin(dim=all_but_images, keepdim=True)
        width = maps.amax(dim=all_but_images, keepdim=True) - low
        maps = (maps - low) / torch.where(width > 0, width, torch.ones_like(width))
    return maps.float()


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Hold cuDNN to deterministic float32 for a block."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before

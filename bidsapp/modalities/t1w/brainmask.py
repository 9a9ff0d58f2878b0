"""Where the brain is: deepbet's networks, and what they say about orientation."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.errors import BadData
from bidsapp.execution.compute import has_bfloat16
from bidsapp.intake.known_files import require_known
from bidsapp.modalities.t1w.linknet import LinkNet, normalised, repeated
from bidsapp.modalities.t1w.reading import Head

if TYPE_CHECKING:
    import torch

# An image is taken as skull-stripped when what is not background agrees this well (Dice) with
# the brain that the network sees; whole heads measured .5 to .6, stripped ones .99.
_STRIPPED_DICE = 0.93


# deepbet 1.0.2's own files: programs of TorchScript, which are run when they are loaded.
_FROM = "deepbet==1.0.2"
WEIGHTS = {
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
    "bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
}


# deepbet's coarse grid, and the share of a plane from which brain counts there.
_COARSE = 128
_LEAST_OF_PLANE = 0.02

_NO_BRAIN = "No brain was found in the image."


def _weights_folder() -> Path:
    spec = find_spec("deepbet")
    origin = spec.origin if spec is not None else None
    return Path(origin or "deepbet/__init__.py").parents[1] / "data" / "models"


def check_weights() -> None:
    """Raise BadData where deepbet's weights are not those that this version is tested with."""
    for name, sha256 in WEIGHTS.items():
        require_known(_weights_folder() / name, sha256, _FROM)


@dataclass(frozen=True)
class _Networks:
    """deepbet's network for the whole head at 128³, and the one for a brain's surroundings."""

    coarse: LinkNet
    fine: LinkNet


@lru_cache(maxsize=4)
def _networks(device: str, reduced: bool) -> _Networks:
    """Load the weights from deepbet's own files, once per process, device and number format."""
    import warnings

    import torch

    check_weights()
    dtype = torch.bfloat16 if reduced else torch.float32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have another kind of file
        fine, coarse = (
            LinkNet.of(torch.jit.load(_weights_folder() / name, "cpu"), torch.device(device), dtype)
            for name in WEIGHTS
        )
    return _Networks(coarse, fine)


def extract_brain(
    head: Head, device: "torch.device", *, grid: int = 256, bfloat16: bool | None = None
) -> np.ndarray:
    """Find the brain.

    Parameters
    ----------
    head
        Whole head or brain alone, in RAS order.
    device
        Where the network runs.
    grid
        Voxels along each edge of the cube onto which the head's surroundings are brought for the
        network. It was trained on 256; 192 takes two fifths of the time, and the mask then agrees
        with the other by a Dice of .988.
    bfloat16
        Whether it runs in bfloat16, which halves its time and keeps its mask (Dice .9998); by
        default where the hardware has it.

    Returns
    -------
    ndarray
        Mask (x, y, z) of bool: one piece without holes. Of an image that is skull-stripped
        already, all that is not background.

    Raises
    ------
    BadData
        The network finds no brain.

    References
    ----------
    Fisch et al., deepbet: Fast brain extraction of T1-weighted MRI using Convolutional Neural
    Networks, Computers in Biology and Medicine 2024.
    """
    import torch

    reduced = has_bfloat16(device) if bfloat16 is None else bfloat16
    networks = _networks(str(device), reduced)
    data = torch.from_numpy(np.ascontiguousarray(head.data)).to(device)
    mask = np.zeros(head.data.shape, dtype=bool)
    found, low, high = _coarse_evidence(networks.coarse, data)
    box = _surroundings((found > 0).cpu().numpy(), mask.shape)
    inner = data[box]
    if not inner.numel():
        raise BadData(_NO_BRAIN)
    sources = tuple(repeated(size, grid).to(device) for size in inner.shape)
    places = tuple(repeated(grid, size).to(device) for size in inner.shape)
    scaled = normalised(inner, low, high, sources)
    mask[box] = _one_piece((networks.fine.evidence(scaled, sources, places) > 0).cpu().numpy())
    foreground = _foreground(head.data)
    if foreground is not None and _dice(mask, foreground) >= _STRIPPED_DICE:
        head.notes.append(
            "The image is skull-stripped already; its own foreground is the brain mask."
        )
        return foreground
    return mask


def _coarse_evidence(network: LinkNet, data: "torch.Tensor") -> "tuple[torch.Tensor, float, float]":
    """Look at a whole head on 128³ voxels.

    Returns
    -------
    evidence : Tensor
        Logit of brain less that of the rest, on these voxels.
    low, high : float
        Percentiles .5 and 99.5 of the intensities.
    """
    import torch

    at = [repeated(size, _COARSE).to(data.device) for size in data.shape]
    small = data[at[0]][:, at[1]][:, :, at[2]]
    low, high = _ends(small.cpu().numpy().ravel())
    every = (torch.arange(_COARSE, device=data.device),) * 3
    return network.evidence(normalised(small, low, high, every), every, every), low, high


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Percentiles .5 and 99.5, interpolated."""
    ranks = np.array([0.005, 0.995]) * (values.size - 1)
    below = ranks.astype(np.int64)
    neighbours = np.partition(values, np.concatenate([below, below + 1]))
    lows, highs = neighbours[below], neighbours[below + 1]
    low, high = lows + (highs - lows) * (ranks - below)
    return float(low), float(high)


def _surroundings(mask: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Lay a box around what the coarse network took for brain, with a margin of a tenth.

    Parameters
    ----------
    mask
        On the coarse grid; its largest piece counts, in planes of which it fills 2 %.
    shape
        Of the head, whose voxels the box is of.

    Raises
    ------
    BadData
        There is no such plane.
    """
    piece = _largest_piece(mask)
    box = []
    for axis, size in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        planes = np.flatnonzero(piece.mean(axis=others) > _LEAST_OF_PLANE)
        if not planes.size:
            raise BadData(_NO_BRAIN)
        scale = size / mask.shape[axis]
        centre = round(scale * (planes[-1] + 1 + planes[0]) / 2)
        wide = round(1.2 * scale * (planes[-1] + 1 - planes[0]))
        box.append(slice(max(0, int(centre - wide / 2)), min(size, int(centre + wide / 2))))
    return tuple(box)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    import cc3d

    if not mask.any():
        raise BadData(_NO_BRAIN)
    return cc3d.largest_k(mask, k=1).astype(bool)


def _one_piece(mask: np.ndarray) -> np.ndarray:
    """Keep the largest piece and fill its holes."""
    import fill_voids

    return fill_voids.fill(_largest_piece(mask))


def _foreground(data: np.ndarray) -> np.ndarray | None:
    """Largest piece that is not exactly background, holes filled; None where there is none.

    A background that was set to one value fills the border of a stripped image; a scanner's
    background is noise.
    """
    import cc3d
    import fill_voids

    background = data.flat[0]
    inside = data != background
    if not 0 < np.count_nonzero(inside) < 0.7 * data.size:
        return None
    return fill_voids.fill(cc3d.largest_k(inside, k=1).astype(bool))


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def orientation_uncertainty(data: np.ndarray, device: "torch.device") -> float:
    """How unsure deepbet's small network is about a head in this orientation.

    The network was trained on upright heads, so that it is least unsure about one that is upright.

    Parameters
    ----------
    data
        (x, y, z), in the orientation to be judged.
    device
        Where the network runs.

    Returns
    -------
    float
        Sum of p(1 − p) over the sum of p, from 0 (certain) to 1; infinite where it sees no brain.
    """
    import torch

    network = _networks(str(device), False).coarse
    evidence, _, _ = _coarse_evidence(
        network, torch.from_numpy(np.ascontiguousarray(data)).to(device)
    )
    p = evidence.double().sigmoid()
    brain = float(p.sum())
    return float((p * (1 - p)).sum()) / brain if brain > 100 else float("inf")

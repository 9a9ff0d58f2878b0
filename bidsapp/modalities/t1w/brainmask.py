"""Where the brain is: deepbet's networks, and what they say about orientation."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.errors import BadData
from bidsapp.execution.compute import has_bfloat16
from bidsapp.intake.known_files import require_known
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


def check_weights() -> None:
    """Raise BadData where deepbet's weights are not those that this version is tested with."""
    spec = find_spec("deepbet")
    origin = spec.origin if spec is not None else None
    folder = Path(origin or "deepbet/__init__.py").parents[1] / "data" / "models"
    for name, sha256 in WEIGHTS.items():
        require_known(folder / name, sha256, _FROM)


@lru_cache(maxsize=2)
def _networks(device: str) -> Any:
    """Load deepbet's two networks from the package's own files, once per process and device."""
    import warnings

    import torch

    check_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from deepbet.bet import BrainExtraction

        extraction = BrainExtraction(no_gpu=True)
        for network in (extraction.model, extraction.bbox_model):
            network.to(device, memory_format=torch.channels_last_3d)
    return extraction


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

    extraction = _networks(str(device))
    reduced = has_bfloat16(device) if bfloat16 is None else bfloat16
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced):
            probability = extraction.run_model(head.data.copy(), shape=(grid, grid, grid))
        mask = extraction.postprocess(probability > 0.5)
    except (AssertionError, ValueError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BadData("No brain was found in the image.") from error
    mask = mask.astype(bool)
    if not mask.any():
        raise BadData("No brain was found in the image.")
    foreground = _foreground(head.data)
    if foreground is not None and _dice(mask, foreground) >= _STRIPPED_DICE:
        head.notes.append(
            "The image is skull-stripped already; its own foreground is the brain mask."
        )
        return foreground
    return mask


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
    from deepbet.utils import normalize

    network = _networks(str(device)).bbox_model
    with torch.no_grad():
        volume = torch.from_numpy(np.ascontiguousarray(data)).to(device)[None, None]
        small = torch.nn.functional.interpolate(volume, (128, 128, 128), mode="nearest-exact")[0, 0]
        low, high = small.quantile(0.005), small.quantile(0.995)
        p = network(normalize(small, low, high)[None, None])[0, 1].double()
        brain = float(p.sum())
        return float((p * (1 - p)).sum()) / brain if brain > 100 else float("inf")

"""Check that the weights in a bundle fit its network: names, shapes, types, finite values."""

import hashlib
from pathlib import Path

import torch

from bidsapp.errors import BadData, TemporaryFailure


def check_weights(folder: Path, weights: Path, network: torch.nn.Module) -> None:
    """Refuse weights that do not fit the network of the bundle's recipe, or hold what cannot be.

    Parameters
    ----------
    folder
        Of the bundle.
    weights
        The file of one fold.
    network
        That fold's, without weights (on the device ``meta``).

    Raises
    ------
    BadData
        Names the file and the first tensors that do not fit.
    """
    from safetensors import SafetensorError, safe_open

    state = network.state_dict()
    wanted = {name: list(value.shape) for name, value in state.items()}
    where = f"bundle {folder}: {weights.name}"
    try:
        with safe_open(weights, framework="pt") as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise BadData(f"{where}: {error}") from error
    if found != wanted:
        different = sorted(k for k in found | wanted if found.get(k) != wanted.get(k))
        raise BadData(
            f"{where} does not fit the network of recipe.yaml: {', '.join(different[:4])}"
        )
    _check_values(where, weights, dict(state))


def unchanged_weights(folder: Path, weights: Path, sha256: str) -> dict[str, torch.Tensor]:
    """Read the weights of a fold, and refuse others than those the bundle was opened with.

    A run may open a bundle, prepare images for hours, and only then read the weights; a group run
    that is repeated, or somebody who copies, may have put others of the same shapes in their place.

    Raises
    ------
    TemporaryFailure
        The file is gone or was changed since.
    """
    import safetensors.torch

    content, state = b"", ""
    try:
        content = weights.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        state = "removed"
    except OSError as error:  # of a disk that several hosts share, too
        state = f"made unreadable ({error.strerror})"
    if not state and sha256 and hashlib.sha256(content).hexdigest() != sha256:
        state = "changed"
    if state:
        raise TemporaryFailure(
            f"bundle {folder}: {weights.name} was {state} since the run began; "
            "nothing was predicted with it. Let nothing write to the bundle, and run again."
        )
    return safetensors.torch.load(content)


def _check_values(where: str, weights: Path, wanted: dict[str, torch.Tensor]) -> None:
    """Refuse weights of another type than the network's, and what is not finite."""
    import safetensors.torch

    for name, value in safetensors.torch.load_file(weights).items():
        if value.dtype != wanted[name].dtype:
            what = f"{value.dtype} instead of {wanted[name].dtype}".replace("torch.", "")
            raise BadData(f"{where}: {name} is {what}")
        if not value.isfinite().all():
            raise BadData(f"{where}: {name} holds NaN or infinite weights")
        if name.endswith("running_var") and (value < 0).any():
            raise BadData(f"{where}: {name} holds variances below 0")

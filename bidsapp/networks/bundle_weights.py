"""Check that the weights in a bundle fit its network: names, shapes, types, finite values."""

import hashlib
from typing import TYPE_CHECKING

import torch

from bidsapp.errors import BadData, TemporaryFailure
from bidsapp.networks.registry import build_network

if TYPE_CHECKING:
    from bidsapp.networks.bundle import Bundle, FoldModel


def check_weights(bundle: "Bundle") -> None:
    """Refuse weights that do not fit the network of the bundle's recipe, or hold what cannot be.

    Raises
    ------
    BadData
        Names the file and the first tensors that do not fit.
    """
    from safetensors import SafetensorError, safe_open

    for model in bundle.models:
        with torch.device("meta"):
            network = build_network(
                bundle.recipe_of(model).network,
                len(model.fitted.channels(bundle.inputs)),
                shape=bundle.space.shape,
                columns=model.fitted.columns.width,
            )
        wanted = {name: list(value.shape) for name, value in network.state_dict().items()}
        try:
            with safe_open(model.weights, framework="pt") as file:
                found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise BadData(f"bundle {bundle.folder}: {model.weights.name}: {error}") from error
        if found != wanted:
            different = sorted(k for k in found | wanted if found.get(k) != wanted.get(k))
            raise BadData(
                f"bundle {bundle.folder}: {model.weights.name} does not fit the network of "
                f"recipe.yaml: {', '.join(different[:4])}"
            )
        _check_values(bundle, model, dict(network.state_dict()))


def unchanged_weights(bundle: "Bundle", model: "FoldModel") -> dict[str, torch.Tensor]:
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
        content = model.weights.read_bytes()
    except FileNotFoundError:
        state = "removed"
    if not state and model.sha256 and hashlib.sha256(content).hexdigest() != model.sha256:
        state = "changed"
    if state:
        raise TemporaryFailure(
            f"bundle {bundle.folder}: {model.weights.name} was {state} since the run began; "
            "nothing was predicted with it. Let nothing write to the bundle, and run again."
        )
    return safetensors.torch.load(content)


def _check_values(bundle: "Bundle", model: "FoldModel", wanted: dict[str, torch.Tensor]) -> None:
    """Refuse weights of another type than the network's, and what is not finite."""
    import safetensors.torch

    where = f"bundle {bundle.folder}: {model.weights.name}"
    for name, value in safetensors.torch.load_file(model.weights).items():
        if value.dtype != wanted[name].dtype:
            what = f"{value.dtype} instead of {wanted[name].dtype}".replace("torch.", "")
            raise BadData(f"{where}: {name} is {what}")
        if not value.isfinite().all():
            raise BadData(f"{where}: {name} holds NaN or infinite weights")
        if name.endswith("running_var") and (value < 0).any():
            raise BadData(f"{where}: {name} holds variances below 0")

"""Pretrained weights from a file the user names; nothing in it is executed or downloaded.

Whom such a file has seen is another question: see `origin`.
"""

import os
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.intake.archives import check_archive
from bidsapp.intake.regular import require_regular
from bidsapp.networks import imagenet
from bidsapp.networks.registry import build_network, head_prefix
from bidsapp.recipes.network import Network

# Environment variable of the folder with weights that a container image carries.
CARRIED = "NOCICAST_WEIGHTS"
_OWN = ".safetensors"
WHERE_TO_GET = (
    "MedicalNet's weights (resnet_10_23dataset.pth, resnet_18_23dataset.pth, "
    "resnet_34_23dataset.pth, resnet_50_23dataset.pth) are published at "
    "https://github.com/Tencent/MedicalNet and https://huggingface.co/TencentMedicalNet. "
    "Download the file for your depth and name it with --weights FILE, "
    "or begin with random weights: --set network.start=random."
)


@dataclass(frozen=True)
class WeightsRecord:
    """Which weights a network started from.

    Attributes
    ----------
    kind
        ``random``, ``medicalnet``, ``imagenet``, ``file`` or ``variant``, as the recipe asks.
    file, sha256
        Name and hash of the file, None for random weights.
    """

    kind: str
    file: str | None = None
    sha256: str | None = None


def weights_file(section: Network, given: Path | None) -> Path | None:
    """Choose the file of weights of one network.

    Parameters
    ----------
    section
        Of the recipe.
    given
        What ``--weights`` names: a file, or a folder of files as MedicalNet names them.

    Returns
    -------
    Path or None
        The file that the recipe names; else `given`, or the file for this network in that folder;
        where nothing is given, the file for this depth that the container image carries, if it
        does. None with weights that no file holds, random ones and another variant's.
    """
    kind = section.start_kind
    if kind in ("random", "variant"):
        return None
    if section.start_path is not None:
        return section.start_path
    if kind == "file":
        return given
    names = {"imagenet": imagenet.file_names(section)}.get(
        kind, (f"resnet_{section.depth}_23dataset.pth",)
    )
    if given is not None:
        inside = [given / name for name in names if given.is_dir() and (given / name).is_file()]
        return inside[0] if inside else given / names[0] if given.is_dir() else given
    carried = [Path(os.environ.get(CARRIED) or ".", name) for name in names]
    there = [path for path in carried if CARRIED in os.environ and path.is_file()]
    return there[0] if there else None


def require_weights(section: Network, in_channels: int, weights: Path | None) -> None:
    """Check, before any work, that the weights the recipe asks for are there and can serve.

    Raises
    ------
    NoInput
        If the recipe asks for pretrained weights and no file is named, or it is not there.
    UsageError
        If a file is named that the recipe does not use, or the network cannot take it.
    """
    kind = section.start_kind
    if kind == "random":
        if weights is not None:
            raise UsageError(
                f"--weights {weights} is given, but the recipe says network.start: random; "
                "set network.start=medicalnet to use the file"
            )
        return
    if kind in ("file", "variant"):
        if weights is None:
            raise NoInput("network.start: file needs --weights FILE")
        if not weights.is_file():
            found = "is a folder; name one file of it" if weights.is_dir() else "is not there"
            named = "--weights" if section.start_path is None else "network.start:"
            raise NoInput(f"{named} {weights} {found}")
        return
    if section.name != "resnet" and kind == "medicalnet":
        raise UsageError(
            f"network.start: MedicalNet has no {section.name}; set network.start=random"
        )
    if in_channels != 1 and kind == "medicalnet":
        raise UsageError(
            f"network.start: MedicalNet was trained on one channel, the representation has "
            f"{in_channels}; set network.start=random or keep one channel"
        )
    where = imagenet.where_to_get(section) if kind == "imagenet" else WHERE_TO_GET
    if weights is None:
        raise NoInput(f"network.start: {kind} needs a file. {where}")
    try:
        require_regular(weights)
    except FileNotFoundError:
        raise NoInput(f"--weights {weights} is not there. {where}") from None
    except OSError as error:
        raise NoInput(f"--weights {weights} cannot be read: {error.strerror}.") from None


def check_weights(
    section: Network, in_channels: int, weights: Path | None, shape: Sequence[int] | None = None
) -> None:
    """Do as `require_weights`, and read the file into a network that is then forgotten.

    Parameters
    ----------
    section, in_channels, shape
        As for `build_network`; where a network of slices has no shape yet, its file is not read.
    weights
        The file.

    Raises
    ------
    NoInput, UsageError
        As `require_weights`.
    BadData
        As `load_file`.
    """
    require_weights(section, in_channels, weights)
    if weights is not None and not (section.dims == 2 and shape is None):
        load_file(build_network(section, in_channels, shape=shape), weights, section)


def load_weights(
    network: torch.nn.Module, section: Network, in_channels: int, weights: Path | None
) -> WeightsRecord:
    """Give a freshly built network the weights the recipe asks for.

    Raises
    ------
    NoInput, UsageError
        As `require_weights`.
    BadData
        As `load_file`.
    """
    require_weights(section, in_channels, weights)
    if weights is None:
        return WeightsRecord("random")
    return load_file(network, weights, section)


def load_file(network: torch.nn.Module, path: Path, section: Network) -> WeightsRecord:
    """Load a file of weights into a network of the same layers, its head excepted.

    Parameters
    ----------
    network
        Of the file's layers and input channels.
    path
        A model of this app (safetensors), or a file of torch that holds a dict with
        ``state_dict``, as MedicalNet's do: keys may be prefixed ``module.``; a segmentation head
        ``conv_seg`` is passed over.
    section
        Of the recipe. A file that is not MedicalNet's may have a head, which is passed over too,
        and hold the tensors without ``state_dict``; one of ImageNet has names of its own and a
        first layer for three colours (`imagenet.as_named_here`).

    Returns
    -------
    WeightsRecord
        With the file's SHA-256.

    Raises
    ------
    BadData
        If the file is cut short, would run code when read, is not such a checkpoint, or belongs
        to another depth; the message names the reason or the keys.
    """
    kind = section.start_kind
    given = _named_tensors(path, kind)
    given = {key: value for key, value in given.items() if not key.startswith("conv_seg.")}
    head = head_prefix(network)
    if kind == "imagenet":
        given = imagenet.as_named_here(given, network.state_dict(), section)
    if kind != "medicalnet" or path.suffix == _OWN:
        given = {key: value for key, value in given.items() if not key.startswith(head)}
    wanted = {k: v for k, v in network.state_dict().items() if not k.startswith(head)}
    missing, unexpected = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing or unexpected:
        raise BadData(
            f"{path} does not fit this network (is it of another depth?): "
            f"missing {_some(missing)}; unexpected {_some(unexpected)}"
        )
    wrong = [
        f"{key} {tuple(getattr(given[key], 'shape', ()))} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if not isinstance(given[key], torch.Tensor) or given[key].shape != wanted[key].shape
    ]
    if wrong:
        raise BadData(f"{path} does not fit this network (another depth?): {_some(wrong)}")
    unlike = [f"{k} ({why})" for k in wanted if (why := _unlike(given[k], wanted[k]))]
    if unlike:
        raise BadData(f"{path} holds what are no weights: {_some(unlike)}")
    infinite = [k for k, v in given.items() if v.is_floating_point() and not v.isfinite().all()]
    if infinite:
        raise BadData(f"{path} holds NaN or infinite weights: {_some(infinite)}")
    negative = [k for k, v in given.items() if k.endswith("running_var") and (v < 0).any()]
    if negative:
        raise BadData(f"{path} holds variances below 0: {_some(negative)}")
    network.load_state_dict(given, strict=False)
    return WeightsRecord(kind, path.name, file_sha256(path))


def _named_tensors(path: Path, kind: str) -> dict[str, Any]:
    """Read the tensors of a file, by their names in the network."""
    content = _read_tensors(path)
    inside = content.get("state_dict") if isinstance(content, Mapping) else None
    if kind != "medicalnet" and isinstance(content, Mapping) and inside is None:
        inside = content
    if isinstance(content, Mapping) and {"fingerprint", "progress"} <= set(content):
        raise BadData(
            f"{path} is the checkpoint of a training that is not finished; name a model of a "
            "bundle (model/VARIANT/models/*.safetensors of a run)"
        )
    what = "a MedicalNet checkpoint" if kind == "medicalnet" else "a file of weights"
    if not isinstance(inside, Mapping):
        raise BadData(
            f"{path} is not {what}: expected a dict with the key state_dict, "
            f"found {_describe(content)}"
        )
    odd = [repr(key) for key in inside if not isinstance(key, str)]
    if odd:
        raise BadData(f"{path} is not {what}: names that are no text: {_some(odd)}")
    return {key.removeprefix("module."): value for key, value in inside.items()}


def _unlike(given: torch.Tensor, wanted: torch.Tensor) -> str:
    """Say in what a tensor is of another kind than the network's; empty where it is not."""
    if given.layout != torch.strided or given.is_quantized:
        return f"{given.layout}".removeprefix("torch.")
    if given.device.type != "cpu":
        return f"without values, on {given.device.type}"
    same = given.is_floating_point() == wanted.is_floating_point()
    if same and (given.is_floating_point() or given.dtype == wanted.dtype):
        return ""
    return f"{given.dtype} instead of {wanted.dtype}".replace("torch.", "")


def _read_tensors(path: Path) -> Any:
    if path.suffix == _OWN and path.is_file():
        return _read_safetensors(path)
    try:
        check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except BadData:
        raise
    except FileNotFoundError as error:
        raise NoInput(f"{path} is not there. {WHERE_TO_GET}") from error
    except Exception as error:  # torch raises many types for a damaged file
        text = str(error)
        if isinstance(error, pickle.UnpicklingError) and "Weights only load failed" in text:
            name = re.search(r"GLOBAL (\S+)", text)
            what = name.group(1) if name else "objects that are no tensors"
            raise BadData(
                f"{path} is refused: reading it would run code ({what}); a file of weights holds "
                "tensors only"
            ) from error
        raise BadData(
            f"{path} cannot be read as weights (cut short or damaged): "
            f"{text.strip().split('. ')[0] or type(error).__name__}"
        ) from error


def _read_safetensors(path: Path) -> Any:
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        return {"state_dict": safetensors.torch.load_file(path)}
    except (OSError, SafetensorError) as error:
        raise BadData(f"{path} cannot be read as weights (cut short or damaged): {error}") from None


def _describe(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict with {_some([str(key) for key in content])}"
    return type(content).__name__


def _some(names: list[str], most: int = 4) -> str:
    if not names:
        return "nothing"
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest

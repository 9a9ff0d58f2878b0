"""A model bundle opened: every file checked against its hash, nothing in it executed."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bidsapp.contracts.product import volume_names
from bidsapp.contracts.space import Space
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NociCastError, NoInput
from bidsapp.intake.json_text import read_own_json
from bidsapp.intake.pointers import pointer_at, require_content
from bidsapp.networks.bundle_about import Carried, read_carried
from bidsapp.networks.bundle_images import IMAGES, TrainingImage, images_from_json
from bidsapp.networks.bundle_weights import check_weights
from bidsapp.networks.registry import build_network
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.chain import Chain
from bidsapp.spaces import read_space

FORMAT = 2
"""What is written. Format 1 had the numbers of the z-score in models.json; it is read, too."""
_READ = (1, FORMAT)
_LONGEST_NAME = 200  # of a file; 255 bytes make one
MANIFEST = Path("configs") / "manifest.json"
METADATA = Path("configs") / "metadata.json"
MODELS = Path("configs") / "models.json"
RECIPE = Path("recipe.yaml")
CARD = Path("docs") / "README.md"


@dataclass(frozen=True)
class FoldModel:
    """One fold's trained network.

    Attributes
    ----------
    repeat, fold
        Which fold it was trained in.
    weights
        Its safetensors file.
    fitted
        The steps of the representation as they were fitted in its fold.
    """

    repeat: int
    fold: int
    weights: Path
    fitted: Chain


@dataclass(frozen=True)
class Bundle:
    """A model that can be applied to new people.

    Attributes
    ----------
    folder
        Where it lies.
    name, version, sha256
        Which bundle it is; the hash is that of its manifest, which holds the hash of every file.
        It changes when the run adds to the metadata what the checks of its maps found.
    weights_sha256
        Which model it is: hash over those of the weights of its models, in their order.
    recipe
        How images are prepared and represented for it, and its network.
    space
        The space that it reads, a box of the template grid for instance.
    channels
        Maps that it reads, in order.
    models
        One per fold.
    metadata
        The contents of ``configs/metadata.json``.
    images
        The scans of its training cohort, by their hashes; None in a bundle that lists none.
    volumes
        Of the longest series that it was trained on; 0 where it reads maps.
    about
        What else it carries: aggregates of its training cohort, prints, a recalibration.
    """

    folder: Path
    name: str
    version: str
    sha256: str
    weights_sha256: str
    recipe: Recipe
    space: Space
    channels: tuple[str, ...]
    models: tuple[FoldModel, ...]
    metadata: dict[str, Any]
    images: tuple[TrainingImage, ...] | None = None
    volumes: int = 0
    about: Carried = field(default_factory=Carried)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what its first step, or its network, is given: maps, or volumes of a series."""
        return volume_names(self.channels[0], self.volumes) if self.volumes else self.channels

    @property
    def any_length(self) -> bool:
        """Whether it reads series of any number of volumes."""
        return bool(self.volumes) and self.models[0].fitted.any_length

    def answers(self, per_model: np.ndarray) -> np.ndarray:
        """Give the model's answer from the probabilities of its fold models.

        Parameters
        ----------
        per_model
            (N, M) of those models that may be used, or (M,) of one person.

        Returns
        -------
        numpy.ndarray
            Their mean, (N,) or a number; recalibrated where the bundle was.
        """
        mean = np.asarray(per_model, float).mean(axis=-1)
        return mean if self.about.recalibration is None else self.about.recalibration.apply(mean)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a dataset's tables that the bundle can use, those of its networks first."""
        return self.recipe.network.covariates

    @property
    def leaks(self) -> tuple[str, ...]:
        """Stamp of each step that saw, or may have seen, held-out people in the run that made it.

        ``LEAK: <step>`` or ``LEAK?: <step>``.
        """
        told = (str(stamp) for stamp in self.metadata.get("leaks", ()))
        return tuple(stamp for stamp in told if stamp.startswith(("LEAK: ", "LEAK?: ")))

    @property
    def identity(self) -> dict[str, str]:
        """What is written of the model beside everything that it makes."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "weights_sha256": self.weights_sha256,
        }

    def network(self, model: FoldModel) -> torch.nn.Module:
        """Build the network of a fold with its weights, in evaluation mode on the CPU."""
        import safetensors.torch

        network = build_network(
            self.recipe.network,
            len(model.fitted.channels(self.inputs)),
            shape=self.space.shape,
            columns=model.fitted.columns.width,
        )
        network.load_state_dict(safetensors.torch.load_file(model.weights))
        return network.eval()

    def require(self, space: Space) -> None:
        """Refuse images that were cut from another grid or another place than the bundle reads.

        Raises
        ------
        BadData
            If the space is not the bundle's.
        """
        mine = self.space
        if space.facts() == mine.facts() and space.same_whole(mine):
            return
        raise BadData(
            f"model {self.name} reads {_box(mine)}, the image gives {_box(space)}; "
            "prepare it with the bundle's recipe"
        )


def _box(space: Space) -> str:
    part = ", ".join(f"{key.lower()} {value}" for key, value in space.facts().items())
    return f"{part} of a grid of {space.whole_shape}"


def load_bundle(folder: Path) -> Bundle:
    """Open a bundle and check it.

    Only JSON, YAML (safe subset) and safetensors are read; a file that the manifest does not list
    is never opened.

    Raises
    ------
    NoInput
        If there is no bundle.
    BadData
        If a file is missing or changed, or the contents do not belong together; the message names
        every such file.
    """
    from bidsapp.recipes import load_recipe

    manifest = _manifest(folder)
    _check_files(folder, manifest["files"])
    try:
        recipe = load_recipe(folder / RECIPE)
    except NociCastError as error:
        raise BadData(f"bundle {folder}: {error}") from error
    metadata, about = _json(folder, METADATA), _numbers(folder, MODELS)
    try:
        models = tuple(
            FoldModel(
                _count(entry["repeat"]),
                _count(entry["fold"]),
                folder / _listed(entry["file"], manifest["files"]),
                _fitted(folder, place, entry, manifest, recipe, int(about.get("volumes", 0))),
            )
            for place, entry in enumerate(about["models"])
        )
        bundle = Bundle(
            folder,
            str(metadata["name"]),
            str(metadata["version"]),
            file_sha256(folder / MANIFEST),
            _joint_sha256(manifest["files"][entry["file"]] for entry in about["models"]),
            recipe,
            read_space(about["window"]),
            tuple(str(name) for name in about["channels"]),
            models,
            metadata,
            images_from_json(_numbers(folder, IMAGES), len(models))
            if str(IMAGES) in manifest["files"]
            else None,
            int(about.get("volumes", 0)),
            read_carried(folder, manifest["files"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadData(f"bundle {folder}: {MODELS} or {METADATA} lacks {error}") from error
    except BadData as error:
        raise BadData(f"bundle {folder}: {error}") from error
    if not bundle.models or bundle.channels != recipe.representation.channels:
        raise BadData(f"bundle {folder}: {MODELS} and {RECIPE} do not belong together")
    if not any(c.isalnum() and c.isascii() for c in bundle.name):
        raise BadData(
            f"bundle {folder}: {METADATA}: name {bundle.name!r} has no letter or digit, which the "
            "names of its predictions are made of"
        )
    check_weights(bundle)
    return bundle


def _joint_sha256(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _near(*parents: Path) -> str:
    """Name the bundles in folders where somebody may have meant one, as the end of a sentence."""
    found = [path.parents[1] for parent in parents for path in parent.glob(f"*/{MANIFEST}")]
    return f"; these are: {', '.join(map(str, sorted(found)))}" if found else ""


def _manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise NoInput(f"--model {folder}: there is no such folder{_near(folder.parent)}")
    require_content(folder / MANIFEST)
    if not (folder / MANIFEST).is_file():
        raise NoInput(
            f"--model {folder}: no {MANIFEST} in it, so it is no NociCast model bundle"
            f"{_near(folder, folder / 'model')}"
        )
    manifest = _json(folder, MANIFEST)
    if manifest.get("format") not in _READ:
        raise BadData(
            f"bundle {folder}: format {manifest.get('format')!r} is not among those that this "
            f"version reads ({' and '.join(map(str, _READ))}); use the version of NociCast that "
            "wrote it"
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not {str(RECIPE), str(METADATA), str(MODELS)} <= set(files):
        raise BadData(f"bundle {folder}: {MANIFEST} does not list the files of a bundle")
    return manifest


def _check_files(folder: Path, files: dict[str, str]) -> None:
    problems = []
    for name, digest in sorted(files.items()):
        path = folder / name
        if len(name) > _LONGEST_NAME:
            problems.append(f"{MANIFEST} lists {name[:40]}… of {len(name)} characters")
        elif Path(name).is_absolute() or ".." in Path(name).parts:
            problems.append(f"{name} lies outside")
        elif (pointer := pointer_at(path)) is not None:
            raise NoInput(f"bundle {folder}: {name} {pointer.advice}.")
        elif not path.is_file():
            problems.append(f"{name} is missing")
        elif file_sha256(path) != digest:
            problems.append(f"{name} is not what was written (its hash differs)")
    if problems:
        raise BadData(f"bundle {folder} is damaged: {'; '.join(problems)}; copy it again")


def _fitted(
    folder: Path,
    place: int,
    entry: dict[str, Any],
    manifest: dict[str, Any],
    recipe: Recipe,
    volumes: int,
) -> Chain:
    """Open the fitted steps of a model, and refuse those that do not fit the recipe."""
    chain = Chain.of(recipe.representation, recipe.network.covariates)
    try:
        if manifest["format"] == 1:
            chain = chain.with_state(_state_of_format_1(entry["zscore"], recipe))
        else:
            chain = chain.load(folder / _listed(entry["fitted"], manifest["files"]))
        chain.check(volumes or len(recipe.representation.channels))
    except BadData as error:
        raise BadData(f"{MODELS}: models[{place}]: {error}") from error
    return chain


def _state_of_format_1(numbers: dict[str, Any], recipe: Recipe) -> dict[str, np.ndarray]:
    """Read the one step that bundles of format 1 have, from JSON."""
    scope = recipe.representation.zscore
    if numbers["scope"] != scope:
        raise BadData(f"zscore.scope is {numbers['scope']!r}, {RECIPE} says {scope!r}")
    if scope == "none":
        return {}
    return {f"0.{name}": np.array(numbers[name], float) for name in ("mean", "sd")}


def _count(value: Any) -> int:
    """Take a number of a repetition or a fold, from 0."""
    if type(value) is not int or value < 0:
        raise BadData(f"{MODELS}: {value!r} is not the number of a repetition or a fold")
    return value


def _listed(name: str, files: dict[str, str]) -> str:
    if name not in files:
        raise BadData(f"{MODELS} names {name}, which {MANIFEST} does not list")
    return name


def _json(folder: Path, name: Path) -> dict[str, Any]:
    try:
        content = read_own_json(folder / name)
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(f"bundle {folder}: {name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BadData(f"bundle {folder}: {name} holds no JSON object")
    return content


def _numbers(folder: Path, name: Path) -> dict[str, Any]:
    """Read a JSON object whose numbers are all finite, which JSON of Python need not be."""
    content = _json(folder, name)
    key = _infinite(content)
    if key:
        raise BadData(f"bundle {folder}: {name}: {key[1:]} is not a finite number")
    return content


def _infinite(value: Any) -> str:
    """Give the key of the first number that is not finite, as in ``.models[0].repeat``."""
    if isinstance(value, dict):
        found = ((f".{key}", _infinite(item)) for key, item in value.items())
    elif isinstance(value, list):
        found = ((f"[{place}]", _infinite(item)) for place, item in enumerate(value))
    else:
        bad = isinstance(value, float) and not math.isfinite(value)
        return " " if bad else ""
    return next((key + below.rstrip() for key, below in found if below), "")

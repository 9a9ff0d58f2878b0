"""A model bundle opened: every file checked against its hash, nothing in it executed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NociCastError, NoInput
from bidsapp.networks.bundle_images import IMAGES, TrainingImage, images_from_json
from bidsapp.networks.registry import build_network
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.sample import same_grid
from bidsapp.representation.window import Window
from bidsapp.representation.zscore import ZScore

FORMAT = 1
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
    zscore
        The fitted numbers of its z-score.
    """

    repeat: int
    fold: int
    weights: Path
    zscore: ZScore


@dataclass(frozen=True)
class Bundle:
    """A model that can be applied to new people.

    Attributes
    ----------
    folder
        Where it lies.
    name, version, sha256
        Which model it is; the hash is that of its manifest, which holds the hash of every file.
    recipe
        How images are normalised and represented for it, and its network.
    window
        The box of the template grid that it reads.
    channels
        Maps that it reads, in order.
    models
        One per fold.
    metadata
        The contents of ``configs/metadata.json``.
    images
        The scans of its training cohort, by their hashes; None in a bundle that lists none.
    """

    folder: Path
    name: str
    version: str
    sha256: str
    recipe: Recipe
    window: Window
    channels: tuple[str, ...]
    models: tuple[FoldModel, ...]
    metadata: dict[str, Any]
    images: tuple[TrainingImage, ...] | None = None

    @property
    def leaks(self) -> tuple[str, ...]:
        """``LEAK: <step>`` of each step that saw held-out people in the run that made it."""
        told = (str(stamp) for stamp in self.metadata.get("leaks", ()))
        return tuple(stamp for stamp in told if stamp.startswith("LEAK: "))

    def network(self, model: FoldModel) -> torch.nn.Module:
        """Build the network of a fold with its weights, in evaluation mode on the CPU."""
        import safetensors.torch

        network = build_network(self.recipe.network, len(self.channels))
        network.load_state_dict(safetensors.torch.load_file(model.weights))
        return network.eval()

    def require(self, window: Window) -> None:
        """Refuse images that were cut from another grid or another place than the bundle reads.

        Raises
        ------
        BadData
            If the window is not the bundle's.
        """
        mine = self.window
        if (window.start, window.shape) == (mine.start, mine.shape) and same_grid(window, mine):
            return
        raise BadData(
            f"model {self.name} reads {mine.shape} voxels from {mine.start} of a grid of "
            f"{mine.grid_shape}, the image gives {window.shape} from {window.start} of "
            f"{window.grid_shape}; normalise with the bundle's recipe"
        )


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
    metadata, about = _json(folder, METADATA), _json(folder, MODELS)
    try:
        models = tuple(
            FoldModel(
                int(entry["repeat"]),
                int(entry["fold"]),
                folder / _listed(entry["file"], manifest["files"]),
                ZScore.from_dict(entry["zscore"]),
            )
            for entry in about["models"]
        )
        bundle = Bundle(
            folder,
            str(metadata["name"]),
            str(metadata["version"]),
            file_sha256(folder / MANIFEST),
            recipe,
            Window.from_dict(about["window"]),
            tuple(str(name) for name in about["channels"]),
            models,
            metadata,
            images_from_json(_json(folder, IMAGES), len(models))
            if str(IMAGES) in manifest["files"]
            else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(f"bundle {folder}: {MODELS} or {METADATA} lacks {error}") from error
    except BadData as error:
        raise BadData(f"bundle {folder}: {error}") from error
    if not bundle.models or bundle.channels != recipe.representation.channels:
        raise BadData(f"bundle {folder}: {MODELS} and {RECIPE} do not belong together")
    _check_weights(bundle)
    return bundle


def _near(*parents: Path) -> str:
    """Name the bundles in folders where somebody may have meant one, as the end of a sentence."""
    found = [path.parents[1] for parent in parents for path in parent.glob(f"*/{MANIFEST}")]
    return f"; these are: {', '.join(map(str, sorted(found)))}" if found else ""


def _manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise NoInput(f"--model {folder}: there is no such folder{_near(folder.parent)}")
    if not (folder / MANIFEST).is_file():
        raise NoInput(
            f"--model {folder}: no {MANIFEST} in it, so it is no NociCast model bundle"
            f"{_near(folder, folder / 'model')}"
        )
    manifest = _json(folder, MANIFEST)
    if manifest.get("format") != FORMAT:
        raise BadData(
            f"bundle {folder}: format {manifest.get('format')!r} is not the {FORMAT} that this "
            "version reads; use the version of NociCast that wrote it"
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not {str(RECIPE), str(METADATA), str(MODELS)} <= set(files):
        raise BadData(f"bundle {folder}: {MANIFEST} does not list the files of a bundle")
    return manifest


def _check_files(folder: Path, files: dict[str, str]) -> None:
    problems = []
    for name, digest in sorted(files.items()):
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            problems.append(f"{name} lies outside")
        elif not path.is_file():
            problems.append(f"{name} is missing")
        elif file_sha256(path) != digest:
            problems.append(f"{name} is not what was written (its hash differs)")
    if problems:
        raise BadData(f"bundle {folder} is damaged: {'; '.join(problems)}; copy it again")


def _check_weights(bundle: Bundle) -> None:
    from safetensors import SafetensorError, safe_open

    with torch.device("meta"):
        network = build_network(bundle.recipe.network, len(bundle.channels))
    wanted = {name: list(value.shape) for name, value in network.state_dict().items()}
    for model in bundle.models:
        try:
            with safe_open(model.weights, framework="pt") as file:
                found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise BadData(f"bundle {bundle.folder}: {model.weights.name}: {error}") from error
        if found != wanted:
            different = sorted(k for k in found | wanted if found.get(k) != wanted.get(k))
            raise BadData(
                f"bundle {bundle.folder}: {model.weights.name} does not fit the network of "
                f"{RECIPE}: {', '.join(different[:4])}"
            )
        if len(model.zscore.mean_) not in (0, len(bundle.channels)):
            raise BadData(f"bundle {bundle.folder}: z-score of {model.weights.name}: wrong length")


def _listed(name: str, files: dict[str, str]) -> str:
    if name not in files:
        raise BadData(f"{MODELS} names {name}, which {MANIFEST} does not list")
    return name


def _json(folder: Path, name: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"bundle {folder}: {name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BadData(f"bundle {folder}: {name} holds no JSON object")
    return content

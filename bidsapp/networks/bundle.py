"""A model bundle opened: every file checked against its hash, nothing in it executed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bidsapp.contracts.product import volume_names
from bidsapp.contracts.space import Space
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NociCastError
from bidsapp.networks.bundle_about import Carried, read_carried
from bidsapp.networks.bundle_files import (
    MANIFEST,
    METADATA,
    MODELS,
    RECIPE,
    check_files,
    read_manifest,
    read_numbers,
    read_object,
)
from bidsapp.networks.bundle_images import IMAGES, TrainingImage, images_from_json
from bidsapp.networks.bundle_models import FoldModel, read_models, read_volumes
from bidsapp.networks.bundle_weights import check_weights, unchanged_weights
from bidsapp.networks.registry import build_network
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.search_settings import at_setting
from bidsapp.spaces import read_space


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
        What else it carries: aggregates of its training cohort, prints, limits, a recalibration.
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
        beside = self.about.clinical.names if self.about.clinical else ()
        return tuple(dict.fromkeys((*self.recipe.columns_beside, *beside)))

    def with_clinic(
        self,
        columns: Mapping[str, Sequence[str]],
        per_model: np.ndarray,
        used: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give the answers of the clinical part: the columns alone, and columns and scan.

        Parameters
        ----------
        columns
            Column to the text of each person, empty where there is no value.
        per_model
            (N, M) probabilities of all fold models.
        used
            Which of the models may answer; None is all of them.

        Returns
        -------
        clinical, both
            (N,) probabilities, recalibrated where the bundle was; NaN where the bundle has no such
            part or was recalibrated without it, or a column is not there at all.
        """
        part = self.about.clinical
        lacking = part is None or not set(part.names) <= set(columns)
        new = self.about.clinic_recalibration
        if part is None or lacking or (self.about.recalibration is not None and not new):
            none = np.full(len(per_model), np.nan)
            return none, none
        chosen = list(range(len(self.models)) if used is None else used)
        places = [(self.models[k].repeat, self.models[k].fold) for k in chosen]
        alone, both = part.answers(columns, per_model[:, chosen], places)
        return (new["clinical"].apply(alone), new["combined"].apply(both)) if new else (alone, both)

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

    def recipe_of(self, model: FoldModel) -> Recipe:
        """Give the recipe of one fold's model: with the setting that its search chose."""
        return self.recipe if model.setting is None else at_setting(self.recipe, model.setting)

    def network(self, model: FoldModel) -> torch.nn.Module:
        """Build the network of a fold with its weights, in evaluation mode on the CPU.

        Raises
        ------
        TemporaryFailure
            The weights are not those that the bundle was opened with: hours may lie between.
        """
        network = self._without_weights(model)
        network.load_state_dict(unchanged_weights(self.folder, model.weights, model.sha256))
        return network.eval()

    def check_weights(self) -> None:
        """Refuse weights that do not fit the networks, or hold what cannot be.

        Raises
        ------
        BadData
            Names the file and the first tensors that do not fit.
        """
        for model in self.models:
            with torch.device("meta"):
                network = self._without_weights(model)
            check_weights(self.folder, model.weights, network)

    def _without_weights(self, model: FoldModel) -> torch.nn.Module:
        return build_network(
            self.recipe_of(model).network,
            len(model.fitted.channels(self.inputs)),
            shape=self.space.shape,
            columns=model.fitted.columns.width,
        )

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

    manifest = read_manifest(folder)
    check_files(folder, manifest["files"])
    try:
        recipe = load_recipe(folder / RECIPE)
    except NociCastError as error:
        raise BadData(f"bundle {folder}: {error}") from error
    try:
        metadata, about = read_object(folder, METADATA), read_numbers(folder, MODELS)
        volumes = read_volumes(about)
        models = read_models(folder, manifest, about, recipe)
        bundle = Bundle(
            folder,
            str(metadata["name"]),
            str(metadata["version"]),
            file_sha256(folder / MANIFEST),
            _joint_sha256(model.sha256 for model in models),
            recipe,
            read_space(about["window"]),
            tuple(str(name) for name in about["channels"]),
            models,
            metadata,
            images_from_json(read_numbers(folder, IMAGES), len(models))
            if str(IMAGES) in manifest["files"]
            else None,
            volumes,
            read_carried(
                *(folder, manifest["files"], len(models)),
                volumes or len(about["channels"]),
            ),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadData(f"bundle {folder}: {MODELS} or {METADATA} lacks {error}") from error
    except BadData as error:
        raise BadData(f"bundle {folder}: {error}") from error
    part = bundle.about.clinical
    if part and not {(one.repeat, one.fold) for one in bundle.models} <= set(part.folds):
        raise BadData(f"bundle {folder}: the clinical part lacks a fold of {MODELS}")
    if not bundle.models or bundle.channels != recipe.representation.channels:
        raise BadData(f"bundle {folder}: {MODELS} and {RECIPE} do not belong together")
    if not any(c.isalnum() and c.isascii() for c in bundle.name):
        raise BadData(
            f"bundle {folder}: {METADATA}: name {bundle.name!r} has no letter or digit, which the "
            "names of its predictions are made of"
        )
    bundle.check_weights()
    return bundle


def _joint_sha256(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()

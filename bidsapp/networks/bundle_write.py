"""Writing a model bundle: a folder laid out as MONAI lays out its bundles."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch

import bidsapp
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.space import Space
from bidsapp.derivatives.atomic import explained, link_or_copy, make_folder
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.intake.json_text import read_own_json
from bidsapp.networks.bundle_about import Carried, write_carried, write_plain
from bidsapp.networks.bundle_files import CARD, FORMAT, MANIFEST, METADATA, MODELS, RECIPE
from bidsapp.networks.bundle_images import IMAGES, TrainingImage, images_to_json
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.carried_hashes import add_images, without_images
from bidsapp.networks.model_card import LIMITS, model_card, outcome_text
from bidsapp.networks.model_facts import ModelFacts
from bidsapp.networks.origin import resting_on_word, weights_words
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.spec import unit_and_range
from bidsapp.spaces.grid import RegularGrid

INTENDED_USE = (
    "Research on the course of pain. Not a medical device; not for decisions about single people."
)


def write_bundle(
    folder: Path,
    recipe: Recipe,
    space: Space,
    models: Sequence[FoldModel],
    facts: ModelFacts,
    images: Sequence[TrainingImage] = (),
    *,
    anonymous: bool = False,
    volumes: int = 0,
    about: Carried | None = None,
) -> Path:
    """Write a bundle, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    folder
        The bundle's own folder.
    recipe
        The resolved recipe of the variant.
    space
        The box of the template grid that the networks read.
    models
        The trained folds; their weights are copied.
    facts
        What is said of the model.
    images
        The scans of the cohort, by which people are known who are given to the model again.
    anonymous
        Whether no hash and no print of an image goes into the bundle, nor stays in the files of
        the weights.
    about
        Aggregates of the training cohort, prints of its scans, limits of abstention.
    volumes
        Of the longest series that the models were trained on; 0 where they read maps.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        The disk is full or cannot be written to; a bundle that was there stays.
    """
    from bidsapp.recipes import dump_recipe

    make_folder(folder.parent)
    with beside(folder) as new:
        for part in ("configs", "docs", "models"):
            (new / part).mkdir(parents=True)
        entries = []
        hashes = [one for image in images for one in (image.voxels, image.source)]
        foreign = weights_words(facts.weights) if resting_on_word(facts.weights) else ""
        for model in models:
            file = f"models/repeat-{model.repeat}_fold-{model.fold}.safetensors"
            if anonymous:
                without_images(model.weights, new / file)
            else:
                add_images(model.weights, new / file, hashes, foreign)
            fitted = f"models/repeat-{model.repeat}_fold-{model.fold}_fitted.safetensors"
            model.fitted.save(new / fitted)
            entries.append(
                {
                    "file": file,
                    "repeat": model.repeat,
                    "fold": model.fold,
                    "fitted": fitted,
                    "steps": [step.name for step in model.fitted.declares()],
                    **({"setting": dict(model.setting)} if model.setting is not None else {}),
                }
            )
        channels = list(recipe.representation.channels)
        write_plain(new / METADATA, _metadata(recipe, space, facts, volumes))
        write_plain(
            new / MODELS,
            {
                "stamps": list(facts.stamps),
                "window": space.to_dict(),
                "channels": channels,
                **({"volumes": volumes} if volumes else {}),
                "models": entries,
            },
        )
        if images and not anonymous:
            write_plain(new / IMAGES, images_to_json(images))
        write_carried(new, about or Carried(), anonymous=anonymous)
        stamps = "".join(f"# {' '.join(stamp.split())}\n" for stamp in facts.stamps)
        (new / RECIPE).write_text(stamps + dump_recipe(recipe), encoding="utf-8")
        card = model_card(recipe, space, len(models), facts, anonymous=anonymous)
        (new / CARD).write_text(card, encoding="utf-8")
        seal(new, folder)
    return folder


def add_saliency_checks(folder: Path, checks: Mapping[str, Any]) -> None:
    """Put into a bundle that is there what the checks of its run's maps found.

    The bundle is replaced as a whole, so its hash changes; weights are linked where the file
    system can, not copied.

    Parameters
    ----------
    folder
        The bundle's own folder.
    checks
        ``method``, ``verdict`` (pass, fail, not decisive, not run) and ``sentences``.
    """
    with beside(folder) as new:
        shutil.copytree(folder, new, copy_function=link_or_copy)
        metadata = read_own_json(new / METADATA)
        (new / METADATA).unlink()
        write_plain(new / METADATA, metadata | {"saliency_checks": dict(checks)})
        seal(new, folder)


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Give the place of a new bundle beside the one to be replaced; a part of it does not stay."""
    with explained(folder), temporary_folder(folder.parent) as beside:
        yield beside / folder.name


def seal(new: Path, folder: Path) -> None:
    """Write the manifest of a new bundle, and put it in the place of the one that is there."""
    (new / MANIFEST).unlink(missing_ok=True)
    files = {
        path.relative_to(new).as_posix(): file_sha256(path)
        for path in sorted(new.rglob("*"))
        if path.is_file()
    }
    write_plain(new / MANIFEST, {"format": FORMAT, "files": files})
    new.chmod(0o755)
    if folder.exists():
        os.replace(folder, new.parent / "old")
    os.replace(new, folder)


def _metadata(recipe: Recipe, space: Space, facts: ModelFacts, volumes: int) -> dict[str, Any]:
    import monai

    channels = recipe.representation.channels
    scans = modality_named(recipe.preparation.modality).title
    units, ranges = zip(
        *(unit_and_range(name, recipe.representation.scaling) for name in channels), strict=True
    )
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/"
        "0.8.1/meta_schema_20240725.json",
        "name": facts.name,
        "version": facts.version,
        "changelog": {facts.version: f"trained by NociCast {bidsapp.__version__}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": numpy.__version__,
        "nocicast_version": bidsapp.__version__,
        "required_packages_version": {"nocicast": bidsapp.__version__},
        "task": f"Prognosis from {scans}: {outcome_text(recipe)}",
        "description": f"Recipe {recipe.name}: {recipe.summary}",
        "authors": "made by a run of NociCast",
        "copyright": "as the data it was trained on",
        "data_source": facts.data_source,
        "intended_use": INTENDED_USE,
        "leaks": list(facts.stamps),
        "reference": recipe.reference,
        "cohort": {
            "participants": facts.participants,
            "scans": facts.scans,
            "positive": facts.positive,
            "positive_of": "scans" if facts.by_scan else "participants",
            "excluded": facts.excluded,
        },
        "eval_metrics": dict(facts.held_out),
        "eval_metrics_of": facts.scored or "participants held out; no other cohort",
        "subgroups": dict(facts.subgroups),
        "limits": [*LIMITS, *facts.doubts],
        "protocol": facts.protocol,
        "initial_weights": dict(facts.weights),
        "images_made_by": list(facts.made_by),
        "trained_with": [dict(environment) for environment in facts.environments],
        "space": {
            **recipe.preparation.space_facts(),
            **_placed(space),
        },
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": volumes or len(channels),
                    "spatial_shape": list(space.shape),
                    "dtype": "float32",
                    "value_range": [
                        min(low for low, _ in ranges),
                        max(high for _, high in ranges),
                    ],
                    "is_patch_data": False,
                    "channel_def": {str(i): name for i, name in enumerate(channels)},
                    "units": dict(zip(channels, units, strict=True)),
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "format": "classification",
                    "num_channels": 1,
                    "spatial_shape": [],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": {"0": outcome_text(recipe)},
                }
            },
        },
    }


def _placed(space: Space) -> dict[str, Any]:
    """Say where the first voxel of what networks read lies, or which part of what it is."""
    return {"affine": space.affine.tolist()} if isinstance(space, RegularGrid) else space.facts()

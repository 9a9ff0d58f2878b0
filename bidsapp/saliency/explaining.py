"""What the maps of a run need beside its folds, and what the group's maps share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import Unit
from bidsapp.dataset.tables import read_frame
from bidsapp.evaluation.tsv import read_table
from bidsapp.saliency.group_test import VoxelNull
from bidsapp.training.splits_file import splits_of

if TYPE_CHECKING:
    from bidsapp.training.task import FoldTask


@dataclass(frozen=True)
class Explaining:
    """What the maps of a run need beside its folds.

    Attributes
    ----------
    cohort
        The table of ``cohort.tsv``.
    mask
        The template's brain mask on the images' grid.
    output_dir
        The derivatives dataset.
    folder
        Of the run, ``<out>/group/<label>``.
    template_label, resolution
        Values of BIDS' ``space`` and ``res``.
    work
        Work folder of the app.
    native
        Whether to write each participant's map on the scan's own voxels too.
    nulls
        Of the voxelwise comparison, of the variants that have one.
    """

    cohort: pd.DataFrame
    mask: Path
    output_dir: Path
    folder: Path
    template_label: str
    resolution: str
    work: Path
    native: bool = False
    nulls: Mapping[str, VoxelNull] = field(default_factory=dict)

    @cached_property
    def images(self) -> dict[Unit, str]:
        """Unit to its image, a path inside `output_dir` or a BIDS URI."""
        rows = self.cohort.astype(object).fillna("").astype(str).to_dict("records")
        return {Unit.of(row): row["image"] for row in rows}


def shared_by_variants(
    task: "FoldTask", about: Explaining, variants: Sequence[str]
) -> dict[str, Any]:
    """Give what the group's maps of variants and ensembles need alike."""
    splits = read_table(about.folder / "splits.tsv", ("participant_id", "role"))
    return {
        "splits": pd.concat([splits_of(splits, name) for name in variants]),
        "template_label": about.template_label,
        "mask": about.mask,
        "scores": read_frame(about.folder / "scores.tsv", None),
        "covariates": about.cohort,
        "seed": task.recipe.evaluation.seed,
        "regions": modality_named(task.recipe.preparation.modality).regions(task.images.space),
    }

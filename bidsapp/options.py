"""What the person asked for in this run, as one frozen record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPEEDS = ("fast", "default", "precise")
RESOLUTIONS = (1, 2)
LEVELS = ("participant", "group")


@dataclass(frozen=True)
class RunOptions:
    """One run of the app; every path is absolute, every label without its prefix.

    Attributes
    ----------
    bids_dir, output_dir, work_dir
        The dataset that is read, the folder of results, and the folder of intermediate files.
    analysis_level
        ``participant`` or ``group``.
    participant_label, session_label
        Labels to keep; empty keeps all.
    bids_filters
        fMRIPrep's filter format: ``{"t1w": {"acquisition": "mprage"}}``.
    nprocs, omp_nthreads
        How many processes at once, and how many threads each may use.
    mem_gb
        The most memory to plan with, in GB.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.
    recipe, overrides
        A recipe's name or file, and ``KEY=VALUE`` texts that change single values of it.
    outcome, positive
        Column that is predicted and its positive values, in place of the recipe's.
    run_label
        Name of the folder under ``<output_dir>/group``; the recipe's name where empty.
    variants
        Variants and ensembles to run; empty takes the recipe's own choice.
    splits
        A table of splits to use instead of making them.
    derivatives
        Name to folder of derivative datasets that hold normalised images.
    weights
        File of pretrained weights, or a folder of such files.
    model
        Bundle that is applied to the images: at the participant level to predict, at the group
        level to be validated on people whose outcome is known.
    recalibrate
        ``intercept`` or ``slope``: what of a validated bundle is fitted to these people, for a
        new bundle; empty for none.
    saliency
        Whether to explain what the networks answer.
    native_maps
        Whether each participant's map is also brought back onto the scan's own voxels.
    evaluate_only
        Whether the group level only recomputes what follows from its state files.
    reports_only
        Whether only reports are made anew, from what is in the output folder.
    boilerplate_only
        Whether only the methods text is written, from what is in the output folder.
    plan
        Whether the group level only says what a cohort of this size can show.
    anonymous_bundle
        Whether the model bundles list no hashes of the images that they were made with.
    command
        The command line as it may be shown, without the paths of folders.
    simulate
        Contrasts (SD) of the cuboids that are planted, one run each; empty for a real run.
    """

    bids_dir: Path
    output_dir: Path
    analysis_level: str
    work_dir: Path
    participant_label: tuple[str, ...] = ()
    session_label: tuple[str, ...] = ()
    bids_filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bids_database_dir: Path | None = None
    clean_workdir: bool = False
    skip_bids_validation: bool = False
    nprocs: int = 1
    omp_nthreads: int = 1
    mem_gb: float = 8.0
    device: str = "auto"
    recipe: str = "attias2025"
    overrides: tuple[str, ...] = ()
    outcome: str | None = None
    positive: tuple[str, ...] = ()
    run_label: str = ""
    variants: tuple[str, ...] = ()
    splits: Path | None = None
    derivatives: Mapping[str, Path] = field(default_factory=dict)
    weights: Path | None = None
    model: Path | None = None
    recalibrate: str = ""
    saliency: bool = True
    native_maps: bool = False
    evaluate_only: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    plan: bool = False
    anonymous_bundle: bool = False
    command: str = ""
    simulate: tuple[float, ...] = ()
    stop_on_first_crash: bool = False
    nipype_plugin: str | None = None
    nipype_plugin_args: Mapping[str, Any] = field(default_factory=dict)
    verbose: int = 0

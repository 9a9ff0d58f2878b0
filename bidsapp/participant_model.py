"""A model applied to new people at the participant level: opened before, applied at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.contracts.modality import modality_named
from bidsapp.dataset.description import shortened
from bidsapp.derivatives.sidecars import is_finished, read_part, read_quality
from bidsapp.errors import UsageError
from bidsapp.image_task import Task
from bidsapp.options import RunOptions

if TYPE_CHECKING:
    from bidsapp.dataset.new_people import NewPeople
    from bidsapp.networks.bundle import Bundle
    from bidsapp.saliency.bundle_maps import BundleMaps


def model_asked_for(options: RunOptions) -> "Bundle | None":
    """Open the model that is to be applied; it then says how images are prepared."""
    if options.model is None:
        return None
    if options.overrides:
        raise UsageError(
            f"--model says itself how images are prepared; leave out {options.overrides[0]} "
            "(--set, --template, --resolution, --speed, --random-seed)."
        )
    from bidsapp.networks.bundle import load_bundle

    return load_bundle(options.model)


def announced(bundle: "Bundle", tasks: Sequence[Task], waiting: Sequence[Task]) -> str:
    """Say, before any image is worked on, what applying a model will take."""
    verb = modality_named(bundle.recipe.preparation.modality).verb
    return (
        f"{bundle.name}: {len(bundle.models)} models, images in "
        f"{bundle.recipe.preparation.place(' at ')}; to {verb} for it: "
        f"{shortened([task.label for task in waiting])}; there already: "
        f"{len(tasks) - len(waiting)} of {len(tasks)}"
    )


def tables_for(bundle: "Bundle | None", options: RunOptions) -> "NewPeople | None":
    """Open the tables of the people, and refuse them where they lack what the model reads."""
    if bundle is None or not bundle.columns:
        return None
    from bidsapp.dataset.new_people import NewPeople

    tables = NewPeople(options.bids_dir, bundle.recipe.tables.missing)
    needed = [name for name, must in bundle.recipe.columns_beside.items() if must]
    tables.require(needed, bundle.name)
    return tables


def predict(
    bundle: "Bundle",
    tasks: Sequence[Task],
    mask: Path,
    tables: "NewPeople | None",
    options: RunOptions,
) -> None:
    """Apply the model to everybody whose image can be used."""
    from bidsapp.reports.predictions import Person, predict_people

    people = []
    modality = modality_named(bundle.recipe.preparation.modality)
    for task in tasks:
        names = task.names
        if is_finished(names, task.provenance):
            part = read_part(names, modality.part_in)
            people.append(Person(task.participant, task.session, names, read_quality(names), part))
    maps = maps_for(bundle, options)
    rows = [one.row for one in people]
    columns = tables.texts(bundle.columns, rows, modality.read_part) if tables else {}
    where = options.output_dir
    count = predict_people(bundle, people, mask, options.device, where, maps, columns)
    print(f"{bundle.name}: {count} predicted: {options.output_dir / 'group' / 'predictions.tsv'}")


def maps_for(bundle: "Bundle", options: RunOptions) -> "BundleMaps | None":
    """Give what explains the model's answers, where that is asked for."""
    if not options.saliency:
        return None
    from bidsapp.saliency.bundle_maps import BundleMaps

    return BundleMaps(bundle, options.device, options.native_maps)

"""Joined maps of the variants of a run's ensembles."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bidsapp.contracts.fitted import leaking
from bidsapp.errors import NociCastError
from bidsapp.saliency.explaining import Explaining, shared_by_variants
from bidsapp.saliency.planes import unlike, write_planes
from bidsapp.saliency.stack import read_stack
from bidsapp.saliency.verdict import Findings, together

if TYPE_CHECKING:
    from bidsapp.training.run import TrainingRun
    from bidsapp.training.task import FoldTask


def write_ensembles(
    training: "TrainingRun",
    tasks: Sequence["FoldTask"],
    done: Mapping[str, Findings],
    about: Explaining,
) -> None:
    """Join the maps of the variants of each ensemble of the run, where all of them are there."""
    first = {task.variant: task for task in reversed(tasks)}
    wanted = tasks[0].recipe.preparation
    others = {v for v in training.variants if training.recipe.with_variant(v).preparation != wanted}
    for name, ensemble in training.recipe.ensembles.items():
        place = about.folder / "saliency" / name
        if set(ensemble.of) <= others:  # joined where these are explained
            continue
        if set(ensemble.of) & others and name in training.recipe.run:
            shutil.rmtree(place, ignore_errors=True)
            if ensemble.of[0] not in others:
                print(f"{name}: no joined map, as its variants are given images of several "
                      "preparations", file=sys.stderr)  # fmt: skip
            continue
        if name not in training.recipe.run or not set(ensemble.of) <= set(done):
            shutil.rmtree(place, ignore_errors=True)
            continue
        one = first[ensemble.of[0]]
        sections = {variant: first[variant].recipe.saliency for variant in ensemble.of}
        why = unlike(sections)
        if why:
            shutil.rmtree(place, ignore_errors=True)
            print(f"{name}: no joined map, as its variants' maps differ: {why}", file=sys.stderr)
            continue
        stacks = {
            variant: read_stack(training.folder / "maps" / variant / section.method)
            for variant, section in sections.items()
        }
        if not all(stack.space.common for stack in stacks.values()):
            shutil.rmtree(place, ignore_errors=True)
            print(f"{name}: no joined map, as the maps lie in people's own spaces", file=sys.stderr)
            continue
        verdict = together([done[variant] for variant in ensemble.of], ensemble.of)
        settings, shared = one.recipe.saliency, shared_by_variants(one, about, ensemble.of)
        shared["sanity"] = verdict
        shared["leaks"] = leaking(
            step for variant in ensemble.of for step in first[variant].recipe.leaks("network")
        )
        try:
            write_planes(name, stacks, place, settings=settings, rule=ensemble.rule, **shared)
        except NociCastError as error:
            shutil.rmtree(place, ignore_errors=True)
            print(f"{name}: no joined map: {error}", file=sys.stderr)

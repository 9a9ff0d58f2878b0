"""The group's files where every person's map lies in a space of their own."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.contracts.fitted import leaking
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import Unit
from bidsapp.derivatives import write_json
from bidsapp.evaluation.stamp import leak_notes
from bidsapp.recipes import Recipe
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.meeting import NATIVE_ONLY, brought_together
from bidsapp.saliency.stack import MapStack


def write_apart(
    stack: MapStack,
    folder: Path,
    recipe: Recipe,
    images: Mapping[Unit, Path],
    work: Path,
    shared: Mapping[str, Any],
) -> None:
    """Write the group's maps in a space that people have in common, or that there is none.

    Parameters
    ----------
    stack
        Maps of held-out scans.
    folder
        ``<out>/group/<label>/saliency/<variant>``.
    recipe
        Of the variant.
    images
        Unit to its image; those of other datasets are not there.
    work
        Work folder of the app.
    shared
        What `write_group` is told; the space, its mask and the images are replaced.
    """
    there = {unit: image for unit, image in images.items() if image.is_file()}
    meeting = modality_named(recipe.preparation.modality).meeting(there, work)
    if meeting is None:
        _write_native_only(stack, folder, recipe, shared)
        print(f"{folder.name}: {NATIVE_ONLY}", file=sys.stderr)
        return
    joined, notes = brought_together(stack, there, meeting)
    for note in notes:
        print(f"{folder.name}: {note}", file=sys.stderr)
    told = {"template_label": meeting.label, "mask": meeting.mask, "images": None, "regions": None}
    write_group(joined, folder, settings=recipe.saliency, said=notes, **{**shared, **told})


def _write_native_only(
    stack: MapStack, folder: Path, recipe: Recipe, shared: Mapping[str, Any]
) -> None:
    """Write a summary without maps, and take away those of an earlier run."""
    settings, leaks = recipe.saliency, shared["leaks"]
    for left in (*folder.glob("group_*_statmap.*"), *folder.glob("[!.]*.tsv")):
        if left.name != "sanity.tsv":
            left.unlink(missing_ok=True)
    summary = {
        "variant": stack.about.get("variant", folder.name),
        "method": stack.about["method"],
        "target": stack.about.get("target", settings.target),
        "absolute": settings.absolute,
        "scale": settings.scale,
        "units": str(stack.about.get("units", "arbitrary")),
        "held_out": not leaking(leaks, "network"),
        "leaks": [step.name for step in leaks],
        "channels": list(stack.channels),
        "native_only": True,
        "maps": {},
        "tables": {"sanity": "sanity.tsv"},
        "sanity": dict(shared["sanity"]),
        "notes": [*leak_notes(leaks), NATIVE_ONLY],
    }
    write_json(folder / "summary.json", summary)

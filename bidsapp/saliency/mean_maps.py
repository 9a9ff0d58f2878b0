"""The images of a group: mean of every cell, spread over people, agreement of folds, channels."""

from typing import Any

from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.aggregate import TOP_SHARE, Overlap, Spread, fold_overlap, spread
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.people import CELLS, PeopleMaps, channel_means
from bidsapp.saliency.stack import MapStack


def cell_maps(people: PeopleMaps, files: GroupFolder, units: str) -> dict[str, str]:
    """Write the mean map of each cell that has people."""
    maps = {}
    for cell, meaning in CELLS.items():
        if not people.count(cell):
            continue
        sidecar = {
            "Description": f"Mean saliency over people: {meaning}.",
            "Units": units,
            "Of": cell,
            "N": people.count(cell),
        }
        block = people.block(people.mean(cell))
        maps[cell] = files.write({"of": cell}, block, sidecar)
    return maps


def spread_maps(people: PeopleMaps, files: GroupFolder, cell: str, units: str) -> dict[str, str]:
    """Write standard error (of two people and more) and sign consistency of a cell."""
    found: Spread = spread(people.of(cell)[1])
    about = {"Of": cell, "N": found.n}
    maps = {
        "sign_consistency": files.write(
            {"of": cell, "stat": "signconsistency"},
            people.block(found.sign_consistency),
            {
                "Description": "Share of people whose smoothed map has the sign of the mean.",
                "Units": "1",
                **about,
            },
        )
    }
    if found.n > 1:
        maps["standard_error"] = files.write(
            {"of": cell, "stat": "se"},
            people.block(found.standard_error),
            {"Description": "Standard error of the mean over people.", "Units": units, **about},
        )
    return maps


def overlap_map(
    people: PeopleMaps, files: GroupFolder, cell: str
) -> tuple[Overlap | None, dict[str, str]]:
    """Write in how many folds a voxel is among the strongest; nothing for a single fold."""
    if len(people.folds) < 2:
        return None, {}
    overlap = fold_overlap(list(people.folds.values()), sizes=people.weights())
    name = files.write(
        {"of": cell, "stat": "foldoverlap"},
        people.block(overlap.share),
        {
            "Description": f"Share of {overlap.folds} folds that have the {people.space.cell} "
            f"among the {TOP_SHARE:.0%} of largest magnitude of their mean map.",
            "Units": "1",
            "Of": cell,
            "MeanPairwiseDice": overlap.dice,
            "DiceByChance": overlap.by_chance,
        },
    )
    return overlap, {"fold_overlap": name}


def overlap_facts(overlap: Overlap | None) -> dict[str, Any] | None:
    """Say for the summary how far the folds agree."""
    if overlap is None:
        return None
    return {
        "top_share": TOP_SHARE,
        "mean_dice": overlap.dice,
        "dice_by_chance": overlap.by_chance,
        "folds": overlap.folds,
    }


def channel_maps(
    people: PeopleMaps,
    stack: MapStack,
    files: GroupFolder,
    cell: str,
    units: str,
    settings: Saliency,
) -> dict[str, str]:
    """Write the mean map of each channel where there are several."""
    if len(stack.channels) < 2:
        return {}
    means = channel_means(people, stack, cell, settings.smoothing_fwhm_mm)
    maps = {}
    for channel, mean in zip(stack.channels, means, strict=True):
        maps[f"channel_{channel}"] = files.write(
            {"of": cell, "channel": channel},
            people.block(mean),
            {
                "Description": f"Mean saliency of the channel {channel} over people.",
                "Units": units,
                "Of": cell,
                "N": people.count(cell),
                "Channel": channel,
            },
        )
    return maps

"""Slabs in different planes joined into one map of the whole grid, for an ensemble."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.space import Space, relative_sizes
from bidsapp.contracts.unit import unit_columns, with_part
from bidsapp.errors import BadData
from bidsapp.evaluation.ensembles import RULES
from bidsapp.evaluation.sample import DEFAULT_THRESHOLD
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.stack import COLUMNS, MapStack
from bidsapp.spaces.volume import Volume, volume

_KIND = ("method", "target", "absolute", "scale")


def unlike(sections: Mapping[str, Saliency]) -> str:
    """Say by which settings the maps of variants are of different kinds, with each one's value.

    Parameters
    ----------
    sections
        Variant to its ``saliency`` section.

    Returns
    -------
    str
        Empty where the maps can be joined.
    """
    found = []
    for key in _KIND:
        values = {name: getattr(section, key) for name, section in sections.items()}
        if len(set(values.values())) > 1:
            each = ", ".join(f"{name} {str(value).lower()}" for name, value in values.items())
            found.append(f"saliency.{key} ({each})")
    return "; ".join(found)


def write_planes(
    name: str,
    stacks: Mapping[str, MapStack],
    folder: Path,
    *,
    settings: Saliency,
    rule: str = "mean",
    **group: Any,
) -> None:
    """Join the maps of an ensemble's variants and write its group maps, tables and summary.

    Parameters
    ----------
    name
        Of the ensemble.
    stacks
        Variant to its maps of held-out scans.
    folder
        ``<out>/group/<label>/saliency/<ensemble>``.
    settings
        The recipe's ``saliency`` section.
    rule
        How the ensemble joins probabilities, ``mean`` or ``vote``.
    **group
        As `write_group` takes it; without ``images``, which have no common window.

    Raises
    ------
    BadData
        As `combine_planes` and `write_group` do.
    """
    stack, coverage = combine_planes(name, stacks, rule)
    write_group(stack, folder, settings=settings, coverage=coverage, **group)


def combine_planes(
    name: str, stacks: Mapping[str, MapStack], rule: str = "mean"
) -> tuple[MapStack, np.ndarray]:
    """Average each scan's maps voxel by voxel over the variants whose window covers the voxel.

    Networks on different slabs differ in the size of their gradients for reasons that have nothing
    to do with place, so a variant's maps are first divided by their root mean square over all its
    scans and voxels; what results has no unit. A variant whose maps are 0 stays 0.

    Parameters
    ----------
    name
        Of the ensemble.
    stacks
        Variant to its maps; scans that not all variants have (of the same repeat and fold) are
        left out.
    rule
        ``mean`` of the variants' probabilities, or the share that votes positive (``vote``).

    Returns
    -------
    stack
        On the full template grid, 0 where no variant looks; of variants with one space that is no
        volume, in that space.
    coverage
        Bool of the space's shape: where at least one does.

    Raises
    ------
    BadData
        If there is no variant, the grids or outcomes differ, or no scan is common to all.
    """
    if not stacks:
        raise BadData(f"ensemble {name}: no variant has maps to combine")
    first = next(iter(stacks.values()))
    space = _joint_space(name, {variant: stack.space for variant, stack in stacks.items()})
    rows, places = _common_rows(name, stacks, rule)
    channels = first.channels
    if any(stack.channels != channels for stack in stacks.values()):
        channels = ("all",)
    total = np.zeros((len(rows), len(channels), *space.shape), np.float32)
    count = np.zeros(space.shape, np.uint8)
    for variant, stack in stacks.items():
        scale = _root_mean_square(stack)
        for scan, place in enumerate(places[variant]):
            maps = np.asarray(stack.values[place], np.float32)
            maps = maps if len(channels) == len(maps) else maps.sum(axis=0, keepdims=True)
            total[scan] += _moved(maps, stack.space, space) / np.float32(scale)
        count += _moved(np.ones(stack.space.shape, bool), stack.space, space)
    total /= np.maximum(count, 1)
    # A share of votes is positive from one half on, whatever the members' threshold.
    threshold = DEFAULT_THRESHOLD if rule == "vote" else first.about.get("threshold")
    about = first.about | {
        "variant": name,
        "threshold": threshold or DEFAULT_THRESHOLD,
        "units": "1 (the maps of each variant divided by their root mean square)",
        "joined": {"variants": list(stacks), "rule": rule},
    }
    return MapStack(rows, total, channels, space, about), count > 0


def _joint_space(name: str, spaces: Mapping[str, Space]) -> Space:
    """Find the space in which the maps of all variants can lie."""
    (one, first), *others = spaces.items()
    volumes = all(isinstance(space, Volume) for space in spaces.values())
    for variant, space in others:
        if not space.same_whole(first) or not (volumes or space.to_dict() == first.to_dict()):
            raise BadData(
                f"ensemble {name}: the maps of {variant} lie on a grid of {space.whole_shape}, "
                f"those of {one} on {first.whole_shape} (or at another place); maps are combined "
                "on one grid only"
            )
    if isinstance(first, Volume):
        return volume(first.grid_shape, np.array(first.grid_affine))
    return first


def _moved(block: np.ndarray, space: Space, joint: Space) -> np.ndarray:
    """Bring the block of a space into the joint one."""
    same = space.to_dict() == joint.to_dict()
    return block if same else joint.cut(space.put_back(block, fill=0))


def _root_mean_square(stack: MapStack) -> float:
    sizes = relative_sizes(stack.space).reshape(stack.space.shape)
    sums = [float(np.mean(np.square(one, dtype=np.float64) * sizes)) for one in stack.values]
    finite = [value for value in sums if np.isfinite(value)]
    size = float(np.sqrt(np.mean(finite))) if finite else 0.0
    return size if size > 0 else 1.0


def _common_rows(
    name: str, stacks: Mapping[str, MapStack], rule: str
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows that all variants have, and where each variant has them."""
    tables = {}
    for variant, stack in stacks.items():
        table = stack.rows.reset_index(drop=True)
        unit = unit_columns(table)
        table[unit] = table[unit].fillna("")
        table["place"] = np.arange(len(table))
        tables[variant] = table.set_index([*unit, "repeat", "fold"])
    common = next(iter(tables.values())).index
    for table in tables.values():
        common = common[common.isin(table.index)]
    if not len(common):
        raise BadData(
            f"ensemble {name}: no scan was held out in the same fold by {', '.join(stacks)}"
        )
    own = {variant: table.loc[common] for variant, table in tables.items()}
    outcomes = np.stack([table["outcome"].to_numpy() for table in own.values()])
    if (outcomes != outcomes[0]).any():
        raise BadData(f"ensemble {name}: the outcomes of {', '.join(stacks)} differ")
    probabilities = np.stack([table["probability"].to_numpy(float) for table in own.values()])
    threshold = float(next(iter(stacks.values())).about.get("threshold", DEFAULT_THRESHOLD))
    rows = next(iter(own.values())).reset_index()
    rows["probability"] = RULES[rule](pd.DataFrame(probabilities.T), threshold).to_numpy()
    models = [table["model_sha256"].astype(str) for table in own.values()]
    rows["model_sha256"] = [" ".join(each) for each in zip(*models, strict=True)]
    return rows[with_part(COLUMNS, rows)], {
        variant: table["place"].to_numpy() for variant, table in own.items()
    }

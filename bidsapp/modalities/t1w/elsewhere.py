"""T1w images that other pipelines normalised, found in their derivatives."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bidsapp.dataset.image_names import Name, companion, spaces_of
from bidsapp.dataset.normalized import (
    NormalizedImage,
    NormalizedSearch,
    Wanted,
    by_scan,
    not_fetched,
    passed_over,
    read_sidecar,
    require_people,
    several,
    sidecar_of,
)
from bidsapp.dataset.tables import ScanKey
from bidsapp.errors import UsageError

_OTHER_SPACE = "choose it with --template, or run the participant level on this scan"


def find_derivatives(dataset: str, root: Path, wanted: Wanted) -> NormalizedSearch:
    """Find T1w and brain mask in a template's space in the derivatives of any pipeline.

    Images with ``desc-preproc`` or without ``desc-`` are taken; of several voxel sizes the
    recipe's, else the one without ``res-`` (the template's own), else the first ``res-``. The
    mask must carry the same entities. The grid is not looked at. Where the images are another
    output of this app, the verdicts of their sidecars hold.

    Raises
    ------
    NoInput
        The folder is not there, or holds no ``sub-`` folder.
    UsageError
        It holds no image in that space; the spaces that it has are named.
    """
    require_people(dataset, root)
    template, resolution, suffix = wanted.labels["space"], wanted.labels["res"], wanted.kind
    found = NormalizedSearch({}, {}, frozenset())
    spaces: set[str] = set()
    for key, names in by_scan(root, wanted.datatype, found.unusable):
        there = spaces_of(names, suffix)
        spaces |= there
        ranked: dict[tuple[int, int, str], list[Name]] = defaultdict(list)
        for name in names:
            desc, res = name.entities.get("desc"), name.entities.get("res", "")
            in_space = name.entities.get("space") == template
            if name.suffix == suffix and in_space and desc in (None, "preproc"):
                size = 0 if res == resolution else 2 if res else 1
                ranked[(desc is None, size, res)].append(name)
        if not ranked:
            own = [name for name in names if name.suffix == suffix]
            if own:
                where = f"-d {dataset}={root}"
                found.passed_over[key] = passed_over(where, own, there, [template], _OTHER_SPACE)
            continue
        best = ranked[min(ranked)]
        mask = companion(best[0], names, "brain", "mask")
        if len(best) > 1:
            found.unusable[key] = several(best)
        elif not_fetched(found, key, best[0].path, sidecar_of(best[0].path), mask):
            continue
        elif mask is None:
            found.unusable[key] = ("no brain mask", f"no desc-brain_mask beside {best[0].path}")
        else:
            _take_other(found, dataset, root, key, best[0], mask, names, wanted)
    if not found.images and not found.unusable:
        listed = ", ".join(sorted(spaces)) or "none"
        raise UsageError(
            f"-d {dataset}={root}: no {suffix} in space {template}; spaces there: {listed}. Choose "
            "one with --template, or leave out -d and run the participant level."
        )
    return replace(found, spaces=frozenset(spaces))


def _take_other(
    found: NormalizedSearch,
    dataset: str,
    root: Path,
    key: ScanKey,
    name: Name,
    mask: Path,
    names: Sequence[Name],
    wanted: Wanted,
) -> None:
    """Take an image of another dataset; what this app said of it there holds here too."""
    path = name.path
    channels = {"t1w": path}
    jacobian = companion(name, names, "logjacobian", "statmap")
    if not_fetched(found, key, jacobian):
        return
    if jacobian is not None:
        channels["log_jacobian"] = jacobian
    told = read_sidecar(path, wanted)
    if told is not None and told.excluded is not None:
        found.unusable[key] = told.excluded
        return
    uri = f"bids:{dataset}:{path.relative_to(root).as_posix()}"
    facts = told.facts if told else {}
    found.images[key] = NormalizedImage(*key, path, mask, channels, dataset, uri, **facts)

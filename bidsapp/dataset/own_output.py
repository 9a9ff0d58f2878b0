"""Prepared units in this app's own output folder, with the verdict of their sidecars."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bidsapp.dataset.image_names import Name, spaces_of, stem_of
from bidsapp.dataset.normalized import (
    NormalizedImage,
    NormalizedSearch,
    UnitKey,
    Wanted,
    by_scan,
    channels_beside,
    not_fetched,
    read_sidecar,
    several,
    sidecar_of,
)
from bidsapp.dataset.tables import ScanKey
from bidsapp.errors import BadData

_PART = "{part}"
# Of what was prepared one by one and then joined, say, both stay.
_LEFT_BEHIND = (
    "earlier runs of the participant level left them: delete those that are not wanted with their "
    "sidecars, or prepare this participant into an empty folder"
)


def find_own(output_dir: Path, wanted: Wanted) -> NormalizedSearch:
    """Find what the participant level wrote, with the verdict of its sidecar.

    Parameters
    ----------
    output_dir
        The app's output folder.
    wanted
        Modality and labels that the recipe asks for.
    """
    found = NormalizedSearch({}, {}, frozenset())
    if not output_dir.is_dir():
        return found
    spaces = set()
    for key, names in by_scan(output_dir, wanted.datatype, found.unusable):
        spaces.update(spaces_of(names, wanted.kind))
        mine = [(name, one) for name in names if (one := _as_wanted(name, wanted)) is not None]
        parts = Counter(one.labels.get("part", "") for _, one in mine)
        for name, one in mine:
            part = one.labels.get("part", "")
            if parts[part] > 1:
                unit = (*key, part) if part else key
                same = [name for name, other in mine if other.labels.get("part", "") == part]
                found.unusable[unit] = several(same, _LEFT_BEHIND)
            else:
                _take_own(found, output_dir, key, name, names, one)
    return NormalizedSearch(_named_once(found), found.unusable, frozenset(spaces))


def _named_once(found: NormalizedSearch) -> dict[UnitKey, NormalizedImage]:
    """Leave out what lies there once more, by the name that it had as the only one of its visit.

    Raises
    ------
    BadData
        The two are not alike, so that nobody knows which is wanted.
    """
    kept = {}
    for unit, image in found.images.items():
        named = found.images.get(image.row)
        if image.row == unit or (named is None and image.row not in found.unusable):
            kept[unit] = image
        elif named is not None and (named.source_sha256, named.made_with) != (
            image.source_sha256,
            image.made_with,
        ):
            raise BadData(
                f"{image.image} and {named.image.name} are of the same part ({named.part}) of one "
                "visit, from another scan or with other settings: delete the one that is not "
                "wanted with its sidecar, or prepare this participant again into an empty folder."
            )
    return kept


def _as_wanted(name: Name, wanted: Wanted) -> Wanted | None:
    """Give what is wanted, with the label of its part, where a file is a main product of it."""
    own = stem_of(name.path.name)
    if _PART not in wanted.main.name:
        return wanted if own.endswith(f"_{stem_of(wanted.main.tail(wanted.labels))}") else None
    extension = wanted.main.name.removeprefix(stem_of(wanted.main.name))
    match = wanted.main.pattern().fullmatch(own + extension)
    if match is None or not wanted.labels.items() <= match.groupdict().items():
        return None
    return replace(wanted, labels={**wanted.labels, "part": match["part"]})


def _take_own(
    found: NormalizedSearch,
    root: Path,
    key: ScanKey,
    name: Name,
    names: Sequence[Name],
    wanted: Wanted,
) -> None:
    path, part = name.path, wanted.labels.get("part", "")
    unit = (*key, part) if part else key
    channels = channels_beside(name, names, wanted)
    if not_fetched(found, unit, path, sidecar_of(path), *channels.values()):
        return
    told = read_sidecar(path, wanted)
    if told is None:
        detail = f"{sidecar_of(path)} has no Quality.verdict; run the participant level again"
        found.unusable[unit] = ("no quality verdict", detail)
    elif told.excluded is not None:
        found.unusable[unit] = told.excluded
    else:
        uri = path.relative_to(root).as_posix()
        facts = {**told.facts, "part": part}
        found.images[unit] = NormalizedImage(*key, path, None, channels, "", uri, **facts)

"""Atlases in the template's space: those that come with the app, files, and TemplateFlow's."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.space import Space
from bidsapp.dataset.tables import read_frame
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.intake.json_text import read_json
from bidsapp.intake.pointers import require_content
from bidsapp.spaces.files import read_whole
from bidsapp.spaces.grid import RegularGrid
from bidsapp.templates.catalogue import templateflow_home
from bidsapp.templates.embedded import DEFAULT

FOLDER = Path(__file__).parent / "atlases"
_SPACE = re.compile(r"(?:^|_)(?:tpl|space)-(?P<space>[A-Za-z0-9+]+)")
_LARGEST_LABEL = np.iinfo(np.int32).max
_SIDECAR_SPACE = ("Space", "Template", "TemplateIdentifier")
# Name to file and to the spaces (as a pattern) in which the file's coordinates hold.
EMBEDDED = {
    "desikan_killiany": (
        f"tpl-{DEFAULT}_res-1_atlas-DesikanKilliany_dseg.nii.gz",
        re.escape(DEFAULT),
    ),
    "pain_spheres": ("atlas-painSpheres_dseg.tsv", r"MNI152.*"),
    "tissue": (f"tpl-{DEFAULT}_res-2_atlas-tissue_dseg.nii.gz", re.escape(DEFAULT)),
}


@dataclass(frozen=True)
class Atlas:
    """Regions on the grid of the maps.

    Attributes
    ----------
    name
        As it was asked for, short.
    labels
        (X, Y, Z) int32 on the full template grid; 0 is no region.
    regions
        `index` (of the label), `name`, `also` (other words for it).
    note
        What a reader of the table should know, resampling for instance; empty if nothing.
    files
        Names of the files that it was read from, and their SHA-256; empty for the app's own.
    """

    name: str
    labels: np.ndarray
    regions: pd.DataFrame
    note: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def find(self, words: str) -> list[str]:
        """Names of the regions that go by these words, whole or in part, in any case."""
        return find_regions(self.regions, words)


def find_regions(table: pd.DataFrame, words: str) -> list[str]:
    """Find regions by name.

    Parameters
    ----------
    table
        With `name` (or `region`) and `also`.
    words
        ``insula``, ``vmPFC``, ``periaqueductal gray``; every word must occur in the region's name
        or in its other names.
    """
    column = "region" if "region" in table else "name"
    wanted = re.split(r"[\s_]+", words.strip().lower())
    found = []
    for name, also in zip(table[column].astype(str), table["also"].fillna(""), strict=True):
        text = re.sub(r"[\s_]+", " ", f"{name} {also}".lower())
        if all(word in text for word in wanted):
            found.append(name)
    return found


def parts_as_atlas(regions: Mapping[str, np.ndarray]) -> list[Atlas]:
    """Make an atlas of the parts that a modality names, bool of the whole each; none of none."""
    if not regions:
        return []
    labels = np.zeros(next(iter(regions.values())).shape, np.int32)
    for number, cells in enumerate(regions.values(), start=1):
        labels[cells] = number
    table = pd.DataFrame({"index": range(1, len(regions) + 1), "name": list(regions), "also": ""})
    return [Atlas("parts", labels, table)]


def embedded_atlases(space: Space, label: str) -> tuple[list[Atlas], list[str]]:
    """Give the atlases that come with the app and hold in a space, and a note on the others.

    They are of the brain: of pictures and of surfaces nothing is said of them.
    """
    fitting = [name for name, (_, spaces) in EMBEDDED.items() if re.fullmatch(spaces, label)]
    other = [name for name in EMBEDDED if name not in fitting]
    notes = []
    if other and label and len(space.shape) == 3:
        notes.append(
            f"the atlases {', '.join(other)} are in {DEFAULT}, not in {label}, and are not used; "
            "name one of your own by --atlas"
        )
    return [resolve_atlas(name, space, label) for name in fitting], notes


def resolve_atlas(
    name: str, space: Space, label: str, homes: Sequence[Path] | None = None
) -> Atlas:
    """Find an atlas and bring it to the grid of the maps by nearest neighbour.

    Parameters
    ----------
    name
        An embedded atlas (`EMBEDDED`); a NIfTI file of labels with a BIDS table of the same name
        in ``.tsv``; or a name of TemplateFlow (``Schaefer2018`` or, where it has several,
        ``Schaefer2018:100Parcels7Networks``) that lies in a TemplateFlow home.
    space
        Whose full grid the labels are brought to.
    label
        Label of the template in which the maps are.
    homes
        TemplateFlow homes; TEMPLATEFLOW_HOME or TemplateFlow's own by default.

    Raises
    ------
    UsageError
        The name is not known.
    NoInput
        A file is missing, or TemplateFlow's atlas is not on this machine.
    BadData
        The atlas is in another space, is not 3D, its table cannot be used, or no label of it
        lies on the grid.
    """
    if name in EMBEDDED:
        file, spaces = EMBEDDED[name]
        if not re.fullmatch(spaces, label):
            raise BadData(f"atlas {name} is not in the space of the maps, {label}")
        if file.endswith(".tsv"):
            return _spheres(name, FOLDER / file, space)
        return _from_file(name, FOLDER / file, space, label)
    if re.search(r"\.nii(\.gz)?$", name) or "/" in name:
        return _from_file(_short(Path(name)), Path(name), space, label)
    return _from_templateflow(name, space, label, homes)


def _short(path: Path) -> str:
    match = re.search(r"_(?:atlas|seg)-([A-Za-z0-9]+)", path.name)
    return match[1] if match else _stem(path)


def _from_templateflow(name: str, space: Space, label: str, homes: Sequence[Path] | None) -> Atlas:
    base, _, variant = name.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9]+", base):
        raise UsageError(
            f"--atlas {name!r} is neither a NIfTI file nor one of {', '.join(EMBEDDED)} nor a "
            "name of TemplateFlow"
        )
    places = list(homes) if homes is not None else [templateflow_home()]
    template = label.partition("+")[0]
    pattern = f"tpl-{template}_*atlas-{base}_*dseg.nii.gz"
    files = [
        file
        for home in places
        for file in sorted((home / f"tpl-{template}").glob(pattern))
        if file.is_file()
        and file.stat().st_size
        and (not variant or f"_desc-{variant}_" in file.name)
    ]
    if not files:
        raise NoInput(
            f"--atlas {name}: no {pattern} in {' or '.join(map(str, places))}. Embedded are "
            f"{', '.join(EMBEDDED)}; bring TemplateFlow's file there on a machine with a network "
            f"(`templateflow get {template} --atlas {base}`), or give a NIfTI file"
        )
    kinds = sorted({m[1] for f in files if (m := re.search(r"_desc-([A-Za-z0-9]+)_", f.name))})
    if len(kinds) > 1:
        raise UsageError(
            f"--atlas {name}: TemplateFlow has several; say which, as {base}:{kinds[0]} "
            f"(there are {', '.join(kinds)})"
        )
    return _from_file(name, files[0], space, label)


def _from_file(name: str, path: Path, space: Space, label: str) -> Atlas:
    require_content(path)
    if not path.is_file():
        raise NoInput(f"atlas {path}: not found; give it with --atlas FILE")
    told = _space_of(path)
    if told is not None and told != label:
        raise BadData(
            f"atlas {path} is in {told}, the maps are in {label}; regions would lie in the wrong "
            "place. Give one in the space of the maps"
        )
    data, affine, _ = read_whole(path, "f8")
    data = data[..., 0] if data.ndim == 4 and data.shape[3] == 1 else data
    if affine is not None and data.ndim != 3:
        raise BadData(f"atlas {path}: expected one 3D volume of labels, found {data.shape}")
    whole = np.rint(data)
    if not np.isfinite(data).all() or np.abs(data - whole).max() > 1e-3 or data.min() < 0:
        raise BadData(
            f"atlas {path}: labels must be whole numbers from 0; a map of probabilities is not a "
            "map of labels"
        )
    if data.max(initial=0) > _LARGEST_LABEL:
        raise BadData(
            f"atlas {path}: label {int(data.max())} is larger than {_LARGEST_LABEL}; number the "
            "regions from 1"
        )
    labels, resampled = _to_grid(path, whole.astype(np.int32), affine, space)
    if not labels.any():
        raise BadData(f"atlas {path}: none of its labels lies on the grid of the maps ({label})")
    table = _table_of(path)
    regions, unnamed = _regions(path, table, np.unique(whole[whole > 0]).astype(int))
    notes = ["brought to the grid of the maps by nearest neighbour"] if resampled else []
    notes += ["its file names no space, so it is taken to be in that of the maps"] * (told is None)
    notes += [unnamed] if unnamed else []
    files: dict[str, str] = {}
    if path.parent != FOLDER:  # which file it was is told by its contents, as its folder is not
        files = {file.name: file_sha256(file) for file in (path, table) if file is not None}
        notes.append(f"{path.name}, sha256 {files[path.name]}")
    return Atlas(name, labels, regions, "; ".join(notes), files)


def _space_of(path: Path) -> str | None:
    """Space that the sidecar or the file's name tells, or None."""
    sidecar = path.with_name(f"{_stem(path)}.json")
    try:
        content = read_json(sidecar)
    except (OSError, ValueError):
        content = {}
    for key in _SIDECAR_SPACE:
        if isinstance(content, dict) and isinstance(content.get(key), str):
            return str(content[key])
    match = _SPACE.search(path.name)
    return match["space"] if match else None


def _to_grid(
    path: Path, labels: np.ndarray, affine: np.ndarray | None, space: Space
) -> tuple[np.ndarray, bool]:
    if space.holds(labels.shape, affine):
        return labels, False
    if not isinstance(space, RegularGrid) or affine is None:
        raise BadData(
            f"atlas {path} has {labels.shape} values, the maps have {space.whole_shape} and cannot "
            "be reached by resampling; give one on the grid of the maps"
        )
    from scipy.ndimage import affine_transform

    to_source = np.linalg.inv(affine) @ np.array(space.grid_affine)
    moved = affine_transform(
        labels, to_source[:3, :3], to_source[:3, 3], space.whole_shape, order=0, cval=0
    )
    return moved.astype(np.int32), True


def _table_of(path: Path) -> Path | None:
    """Find the table beside an image, with or without its ``res-``."""
    stem = _stem(path)
    names = (f"{stem}.tsv", f"{re.sub(r'_res-[A-Za-z0-9]+', '', stem)}.tsv")
    return next((path.with_name(n) for n in names if os.path.lexists(path.with_name(n))), None)


def _stem(path: Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", path.name)


def _regions(path: Path, table: Path | None, present: np.ndarray) -> tuple[pd.DataFrame, str]:
    """Names from the table beside an image."""
    if table is None:
        names = pd.DataFrame({"index": present, "name": [f"label-{i}" for i in present]})
        return names.assign(also=""), f"there is no {_stem(path)}.tsv, so its regions are numbers"
    try:
        frame = read_frame(table, quotes=True)
    except UnicodeDecodeError as error:
        raise BadData(f"{table}: not UTF-8 ({error}); save it as UTF-8 text") from None
    except (OSError, ValueError) as error:  # no table, or one whose rows do not fit its header
        raise BadData(f"{table}: cannot be read as a tab-separated table: {error}") from error
    if not {"index", "name"} <= set(frame.columns):
        raise BadData(f"{table}: columns index and name are needed; found {list(frame.columns)}")
    number = pd.to_numeric(frame["index"], errors="coerce")
    whole = np.isfinite(number) & (number == number.round())
    if not whole.all() or number.duplicated().any():
        raise BadData(f"{table}: column index must hold whole numbers, each once")
    frame["index"] = number.astype(int)
    if "also" not in frame:
        frame["also"] = ""
    frame["also"] = frame["also"].replace("n/a", "")
    frame = frame[frame["index"] > 0]
    if frame["name"].duplicated().any():
        twice = frame["name"][frame["name"].duplicated()].iloc[0]
        raise BadData(f"{table}: the name {twice!r} stands there twice; give each region its own")
    unnamed = sorted(set(present.tolist()) - set(frame["index"]))
    note = f"labels without a name in {table.name} are left out: {unnamed[:8]}" if unnamed else ""
    return frame[["index", "name", "also"]].reset_index(drop=True), note


def _spheres(name: str, path: Path, space: Space) -> Atlas:
    """Spheres about coordinates; where two overlap, the nearer centre has the voxel."""
    table = read_frame(path, None)
    if not isinstance(space, RegularGrid):
        raise BadData(f"atlas {name} is one of a volume, the maps lie elsewhere")
    affine = np.array(space.grid_affine)
    grid = np.indices(space.whole_shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    nearest = np.full(len(grid), np.inf)
    labels = np.zeros(len(grid), np.int32)
    columns = ["index", "x", "y", "z", "radius_mm"]
    for index, x, y, z, radius in table[columns].to_numpy(float):
        away = np.linalg.norm(grid - [x, y, z], axis=1)
        own = (away <= radius) & (away < nearest)
        labels[own], nearest[own] = int(index), away[own]
    regions = table[["index", "name", "also"]].replace({"also": {"n/a": ""}})
    note = "spheres about published coordinates, not anatomical regions"
    return Atlas(name, labels.reshape(space.whole_shape), regions, note)

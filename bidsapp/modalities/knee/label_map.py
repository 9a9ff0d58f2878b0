"""A knee's label map from disk: its numbers by its table's names, checked, with where it lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.contracts.scan import SourceFile
from bidsapp.dataset.numbers import number_of
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.images import read_numbers
from bidsapp.intake.regular import open_regular
from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.label_names import is_another, structures_of

_SAME_PLACE_MM = 0.5
_WHOLE = 1e-3
_NAN = (
    "{} voxels of the label map are not a number (NaN); they were taken for background. "
    "Look whether a structure is cut there."
)


@dataclass(frozen=True)
class LabelMap:
    """A label map and what its numbers mean.

    Attributes
    ----------
    data
        (i, j, k) int16.
    affine
        (4, 4) from its voxels to the scanner's millimetres, RAS+.
    structures
        Structure to the numbers that make it up.
    lost
        Cartilages, as its table calls them, that have no voxels.
    unread
        Numbers and names of labels that have voxels and that nothing is known of.
    notes
        What had to be decided while it was read.
    """

    data: np.ndarray
    affine: np.ndarray
    structures: Mapping[str, tuple[int, ...]]
    lost: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def mask(self, *names: str) -> np.ndarray:
        """(i, j, k) bool of some structures together; those that have no label add nothing."""
        numbers = [number for name in names for number in self.structures.get(name, ())]
        known = np.zeros(max([int(self.data.max()), *numbers]) + 1, bool)
        known[numbers] = True
        return np.asarray(known[self.data])

    def middle(self, name: str) -> np.ndarray | None:
        """(3,) middle of a structure in the scanner's millimetres; None where it has no voxels."""
        there = self.mask(name)
        if not there.any():
            return None
        means = [
            float(np.average(np.arange(n), weights=there.sum(tuple(j for j in range(3) if j != i))))
            for i, n in enumerate(there.shape)
        ]
        return np.asarray(self.affine[:3, :3] @ np.array(means) + self.affine[:3, 3])


def label_table(path: Path, dataset: Path) -> Path | None:
    """Find the table that names a label map's numbers, as BIDS inherits it.

    The nearest ``*_dseg.tsv`` from its folder up to the dataset's, whose entities are all among
    the image's own; of several in one folder the one with the most entities.
    """
    own = _parts(path)
    folder = path.parent
    while True:
        fitting = [
            (len(parts), table.name, table)
            for table in sorted(folder.glob("*dseg.tsv"))
            if (parts := _parts(table)) <= own
        ]
        if fitting:
            return max(fitting)[2]
        if folder == dataset or folder == folder.parent:
            return None
        folder = folder.parent


def _parts(path: Path) -> set[str]:
    return set(path.name.split(".", 1)[0].split("_"))


def read_label_names(path: Path) -> dict[int, str]:
    """Read a label table: number to name.

    Raises
    ------
    BadData
        It has no columns ``index`` and ``name``, or a number twice or that is none.
    NoInput
        It cannot be read.
    """
    try:
        with open_regular(path) as stream:
            text = stream.read().decode("utf-8-sig")
    except OSError as error:
        raise NoInput(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise BadData(f"{path} is not UTF-8 text; save it as UTF-8, tab-separated.") from None
    lines = [line.split("\t") for line in text.splitlines() if line.strip()]
    header = [field.strip().lower() for field in lines[0]] if lines else []
    if "index" not in header or "name" not in header:
        raise BadData(
            f"{path}: expected the columns index and name, separated by tabs; found "
            f"{', '.join(header) or 'nothing'}."
        )
    names: dict[int, str] = {}
    for line, fields in enumerate(lines[1:], start=2):
        padded = [field.strip() for field in fields] + [""] * len(header)
        number = number_of(padded[header.index("index")])
        if number is None or number != int(number) or number < 0:
            raise BadData(
                f"{path}: line {line}: index {padded[header.index('index')]!r} is no label number."
            )
        if int(number) in names:
            raise BadData(f"{path}: line {line}: index {int(number)} is there twice; remove one.")
        names[int(number)] = padded[header.index("name")]
    return names


def read_label_map(path: Path, table: Path | None, bones: Sequence[str]) -> LabelMap:
    """Read a label map and check that the bones that are wanted, and their cartilage, are there.

    Parameters
    ----------
    path
        ``_dseg.nii.gz``.
    table
        That names its numbers, as `label_table` finds it.
    bones
        That are wanted.

    Raises
    ------
    BadData
        There is no table, or it names no such structure; a structure has no voxels; the image is
        no label map.
    NoInput
        A file cannot be read.
    """
    table = _required(path, table)
    names = read_label_names(table)
    structures = structures_of(names, bones, str(table))
    values, affine = read_numbers(path)
    values = values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values
    if values.ndim != 3:
        raise BadData(f"{path} has {values.ndim} axes; a label map has three.")
    nowhere = np.isnan(values)
    values = np.where(nowhere, 0, values)
    largest = np.iinfo(np.int16).max
    data = np.rint(np.clip(values, 0, largest)).astype(np.int16)
    wrong = np.abs(values - data) > _WHOLE
    if wrong.any():
        raise BadData(
            f"{path} holds numbers that are no labels, such as {values[wrong][0]:g}; labels are "
            f"whole numbers from 0 to {largest}. Is it the image?"
        )
    notes = (_NAN.format(nowhere.sum()),) if nowhere.any() else ()
    wanted = [
        number
        for bone in bones
        for one in ANATOMY[bone].cartilages
        for number in structures.get(one, ())
    ]
    there = set(np.unique(data).tolist())
    lost = tuple(names[number] for number in wanted if number not in there)
    used = {number for some in structures.values() for number in some}
    unread = tuple(
        f"label {number} {names.get(number, '')!r}" if names.get(number) else f"label {number}"
        for number in sorted(there - used - {0})
        if not is_another(names.get(number, ""))
    )
    found = LabelMap(data, affine, structures, lost, unread, notes)
    for bone in bones:
        for what, parts in ((bone, (bone,)), (f"{bone}'s cartilage", ANATOMY[bone].cartilages)):
            if not found.mask(*parts).any():
                numbers = [n for name in parts for n in structures.get(name, ())]
                raise BadData(
                    f"{path}: the {what} (label {', '.join(map(str, numbers))} by {table.name}) "
                    f"has no voxels. Segment it, correct the table, or leave the {bone} out of "
                    "preparation.bones."
                )
    return found


def check_table(file: SourceFile, bones: Sequence[str]) -> None:
    """Refuse a label map whose table does not name what is wanted; the map is not opened.

    Raises
    ------
    BadData, NoInput
        As `read_label_map`, of the table.
    """
    dataset = file.path.parents[len(Path(file.relative_path).parts) - 1]
    table = _required(file.path, label_table(file.path, dataset))
    structures_of(read_label_names(table), bones, str(table))


def _required(path: Path, table: Path | None) -> Path:
    if table is None:
        raise BadData(
            f"{path}: no table names its labels. Put {path.name.split('.', 1)[0]}.tsv beside it, "
            "with the columns index and name."
        )
    return table


def require_same_grid(labels: LabelMap, path: Path, image: Path) -> None:
    """Refuse a label map that does not lie on its image's grid.

    Raises
    ------
    BadData
        They differ in size, or in place by more than half a millimetre at a corner.
    """
    from bidsapp.intake.header import placement
    from bidsapp.intake.images import open_image

    opened = open_image(image)
    shape = tuple(opened.shape[:3])
    if shape != labels.data.shape:
        sizes = [" x ".join(map(str, size)) for size in (labels.data.shape, shape)]
        raise BadData(
            f"{path} has {sizes[0]} voxels and its image {image.name} {sizes[1]}: it lies on "
            "another grid. Resample the label map onto the image by nearest neighbours, or name "
            "the image that was segmented."
        )
    affine = placement(image, opened, any_size=True).affine
    corners = np.array(
        [[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])]
    )
    apart = np.abs(corners @ (affine - labels.affine).T).max()
    if apart > _SAME_PLACE_MM:
        raise BadData(
            f"{path} lies up to {apart:.1f} mm away from its image {image.name} by their headers. "
            "Copy the header of the image that was segmented, or name that image."
        )

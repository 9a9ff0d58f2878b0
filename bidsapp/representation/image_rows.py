"""Images in rows, read one at a time: as they are stored, transformed, or those one may see."""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bidsapp.contracts.fitted import Fitted, FittedStep, Images
from bidsapp.contracts.space import Space
from bidsapp.dataset.covariates import users_column
from bidsapp.derivatives.atomic import atomic_path, make_folder
from bidsapp.derivatives.temporary import temporary_file
from bidsapp.errors import BadData, NociCastError
from bidsapp.representation.sample import FLOAT16_MAX


@dataclass(frozen=True)
class ImageRows:
    """Images of an array, usually memory-mapped, or some of its rows under numbers of their own.

    Attributes
    ----------
    array
        float16, shape (N, C, X, Y, Z).
    rows
        Row numbers of the array that are taken, in this order; None takes all.
    columns
        Of the cohort table: name to a text for each row.
    store
        Folder of what is kept of these images for all folds; its name says which images they
        are. Without one nothing is kept.
    space
        Where their voxels lie; None where that is not known.
    """

    array: np.ndarray
    rows: np.ndarray | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    store: Path | None = None
    space: Space | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.array) if self.rows is None else len(self.rows)

    def __getitem__(self, row: int) -> np.ndarray:
        """Read one image, (C, X, Y, Z)."""
        image: np.ndarray = self.array[row if self.rows is None else self.rows[row]]
        return image

    def whole(self) -> np.ndarray:
        """Read all images into memory, (N, C, X, Y, Z)."""
        return np.array(self.array) if self.rows is None else self.array[self.rows]

    @property
    def nbytes(self) -> int:
        """Size of these images in bytes."""
        return len(self) * self.array[:1].nbytes

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, X, Y, Z)."""
        return (len(self), *self.array.shape[1:])

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read some images, (rows, C, X, Y, Z)."""
        block: np.ndarray = self.array[rows if self.rows is None else self.rows[rows]]
        return block

    def picked(self, rows: np.ndarray) -> "ImageRows":
        """Give some of the rows, in this order, numbered from 0."""
        columns = {name: [column[k] for k in rows] for name, column in self.columns.items()}
        taken = rows if self.rows is None else self.rows[rows]
        return ImageRows(self.array, taken, columns, self.store, self.space)

    def kept(self, name: str, rows: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
        """Read what was made of these images, or make it and keep it."""
        if self.store is None:
            return make()
        places = rows if self.rows is None else [self.rows[row] for row in rows]
        path = self.store / f"{name}_{'-'.join(str(int(place)) for place in places)}.npy"
        try:
            found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
            return found
        except (OSError, ValueError, EOFError):
            pass  # not there, or damaged: it is made anew
        made = np.ascontiguousarray(make())
        make_folder(self.store)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, made, allow_pickle=False)
        return made

    def loaded(self) -> "ImageRows":
        """Read these images into memory."""
        return ImageRows(self.whole(), columns=self.columns)

    def shown(self, images: np.ndarray) -> "ImageRows":
        """Give other images of the one person of whom this is the only row."""
        columns = {name: [column[0]] * len(images) for name, column in self.columns.items()}
        return ImageRows(images, columns=columns)

    def column(self, name: str) -> Sequence[str]:
        """Give a column of the cohort table, by the user's name for it, a text for each row.

        Raises
        ------
        BadData
            There is no such column, as for new people whose table lacks it.
        """
        place = users_column(self.columns, name) or name
        if place not in self.columns:
            raise BadData(f"column {name!r} of the cohort is not known for these people")
        return self.columns[place]


@dataclass(frozen=True)
class Applied:
    """Images as a fitted step leaves them, made anew each time they are read."""

    images: Images
    step: Fitted

    @property
    def space(self) -> Space | None:
        """Where the voxels lie."""
        return self.images.space

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.images)

    def __getitem__(self, row: int) -> np.ndarray:
        """Transform one image."""
        return next(iter(self.step.transform(self.images, np.array([row]))))

    def column(self, name: str) -> Sequence[str]:
        """Give a column of the cohort table."""
        return self.images.column(name)

    def kept(self, name: str, rows: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
        """Make it anew: the step before was fitted in this fold, and other folds have another."""
        return make()


class Restricted:
    """Images of the rows that a step may be fitted on; whatever asks for another is stopped."""

    def __init__(self, images: Images, rows: np.ndarray, step: FittedStep) -> None:
        self._images, self._rows, self._step = images, frozenset(rows.tolist()), step
        self.space = images.space

    def __len__(self) -> int:
        """Count the rows of the cohort."""
        return len(self._images)

    def __getitem__(self, row: int) -> np.ndarray:
        """Read one image.

        Raises
        ------
        NociCastError
            The step may not see it.
        """
        self._check(row)
        return self._images[int(row)]

    def kept(self, name: str, rows: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
        """Give what is made of images that the step may see; raises as for reading one."""
        for row in rows:
            self._check(row)
        return self._images.kept(name, rows, make)

    def _check(self, row: int) -> None:
        if int(row) not in self._rows:
            raise NociCastError(
                f"{self._step.name}: its fit reads image {row}, which is outside of its scope "
                f"({self._step.scope}); this is a fault of the step, not of the data"
            )

    def column(self, name: str) -> Sequence[str]:
        """Give a column of the cohort table, empty for rows that may not be seen."""
        column = self._images.column(name)
        return [text if row in self._rows else "" for row, text in enumerate(column)]


def materialised(
    step: Fitted, images: Images, rows: np.ndarray, folder: Path | None = None
) -> ImageRows:
    """Transform images once and store them: float16, under the row numbers they had.

    Parameters
    ----------
    step
        Fitted.
    images
        What it is applied to.
    rows
        Of them; what lies in other rows is not defined.
    folder
        Where a file may lie while this process lives; without one they are kept in memory.

    Raises
    ------
    BadData
        If the step gives images that differ in shape, or are not finite in float16.
    """
    array: np.ndarray | None = None
    name = step.declares()[0].name
    for row, image in zip(rows, step.transform(images, rows), strict=True):
        if array is None:
            array = _room((len(images), *image.shape), folder)
        if image.shape != array.shape[1:]:
            raise BadData(f"{name}: gives images of shapes {array.shape[1:]} and {image.shape}")
        if not np.isfinite(image).all() or np.abs(image).max() > FLOAT16_MAX:
            raise BadData(f"{name}: gives NaN, infinite or values beyond ±{FLOAT16_MAX:g}")
        array[row] = image
    if array is None:
        array = np.empty((0, 0), np.float16)
    return ImageRows(array, space=images.space)


def _room(shape: tuple[int, ...], folder: Path | None) -> np.ndarray:
    """Make an array in memory, or in a file that goes with this process."""
    if folder is None:
        return np.zeros(shape, np.float16)
    with temporary_file(folder / "images.npy") as path:
        array: np.ndarray = np.lib.format.open_memmap(path, "w+", np.float16, shape)
        reserve(path)
    # its name is gone, and its room is given back when the array is
    return array


def reserve(path: Path) -> None:
    """Refuse now what will not fit: writing into a mapped file ends the process on a full disk.

    File systems that cannot reserve room are left to themselves.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise

"""The slice that an injection's picture was cut from: the way of a map back to the person."""

from pathlib import Path

from bidsapp.contracts.home import Home
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.images import open_image
from bidsapp.intake.json_text import read_own_json
from bidsapp.spaces import Slice, read_space


def home_of(image: Path) -> Home:
    """Give the way of a map back to the person; see `box_of`."""
    return Home(*box_of(image))


def box_of(image: Path) -> tuple[Slice, Path]:
    """Read where on the person's own slice a picture lies, mirrored or not.

    Parameters
    ----------
    image
        The picture, ``sub-…_space-foramen_desc-C6Lpreproc_T2w.nii.gz``.

    Returns
    -------
    box, file
        The box, and the image of the slice that it lies on.

    Raises
    ------
    NoInput
        The slice is not beside it.
    BadData
        The picture's sidecar or the slice is not what was written.
    """
    told = image.with_name(image.name.replace(".nii.gz", ".json"))
    file = image.with_name(
        image.name.replace("_space-foramen", "").replace("preproc_T2w", "slice_T2w")
    )
    for path in (told, file):
        if not path.is_file():
            raise NoInput(f"{path} is not there; run the participant level on this image")
    space = read_space(read_own_json(told).get("Space", {}))
    grid = open_image(file)
    if not isinstance(space, Slice) or not space.holds(grid.shape, grid.affine):
        raise BadData(
            f"{told}: its Space is not the grid of {file.name}; prepare this injection anew"
        )
    return space, file

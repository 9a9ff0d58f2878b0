"""The template that comes with the app: ICBM 2009a nonlinear symmetric, as nilearn carries it."""

import contextlib
import filecmp
import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.derivatives.atomic import not_made
from bidsapp.derivatives.temporary import temporary_file
from bidsapp.errors import NoInput
from bidsapp.intake.known_files import require_known

if TYPE_CHECKING:
    import nibabel as nib
    import numpy as np

DEFAULT = "MNI152NLin2009aSym"
REFERENCE = "https://www.bic.mni.mcgill.ca/ServicesAtlases/ICBM152NLin2009"
CITATION = (
    "https://doi.org/10.1016/j.neuroimage.2010.07.033",
    "https://doi.org/10.1016/S1053-8119(09)70884-5",
)
LICENCE = (
    "Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological "
    "Institute, McGill University. Permission to use, copy, modify, and distribute this software "
    "and its documentation for any purpose and without fee is hereby granted, provided that the "
    "above copyright notice appear in all copies. The authors and McGill University make no "
    "representations about the suitability of this software for any purpose. It is provided "
    '"as is" without express or implied warranty. The authors are not responsible for any data '
    "loss, equipment damage, property loss, or injury to subjects or patients resulting from the "
    "use or misuse of this software package."
)
# Of the files in nilearn 0.14.1.
_SHA256 = {
    "t1": "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    "gm": "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",
    "wm": "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db",
}
T1W = f"tpl-{DEFAULT}/tpl-{DEFAULT}_res-1_desc-brain_T1w.nii.gz"


@cache
def packaged(kind: str) -> Path:
    """Path of the file that nilearn carries.

    Parameters
    ----------
    kind
        ``t1``, ``gm`` or ``wm``; 197 × 233 × 189 voxels of 1 mm, uint8, 0 to 255.

    Raises
    ------
    NoInput
        nilearn, or the file in it, is not installed.
    BadData
        The file in it is another one than this version is tested with.
    """
    # Found without importing nilearn, which takes seconds.
    spec = find_spec("nilearn")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        file = Path(
            folder, "datasets", "data", f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
        )
        if file.is_file():
            require_known(file, _SHA256[kind], "nilearn==0.14.1")
            return file
    raise NoInput(
        f"The embedded template {DEFAULT} ({kind}) was not found in the installed nilearn package; "
        "install the nilearn version that constraints.txt names."
    )


def has_embedded(home: Path) -> bool:
    """Whether `home` holds the embedded T1w whole, compared byte for byte."""
    file = home / T1W
    try:
        return file.is_file() and filecmp.cmp(packaged("t1"), file, shallow=False)
    except OSError:
        return False


def lay_embedded(home: Path) -> Path:
    """Lay the embedded template into a TemplateFlow home, under its true names.

    Files are moved into place whole, so any number of processes may do this at once, and one that
    is killed leaves nothing half written. What TemplateFlow itself may have put there (its brain
    mask lies on another grid) is left alone, except a T1w of this very name that is not whole.

    Parameters
    ----------
    home
        The folder that holds, or will hold, ``tpl-MNI152NLin2009aSym``.

    Returns
    -------
    Path
        The T1w, skull-stripped, 1 mm. Beside it lie the brain mask (T1w above zero, holes filled),
        the grey and white matter probabilities and ``template_description.json``.

    Raises
    ------
    CannotCreateOutput
        `home` cannot be written.
    NoInput
        The template is not installed with the app.
    """
    if has_embedded(home):
        return home / T1W
    try:
        _lay(home / f"tpl-{DEFAULT}")
    except OSError as error:
        raise not_made(
            error,
            f"The template {DEFAULT} cannot be laid into {home} ({error.strerror or error}); "
            "let TEMPLATEFLOW_HOME name a folder that can be written, or pass another --work-dir.",
        ) from error
    return home / T1W


def _lay(folder: Path) -> None:
    import nibabel as nib
    import numpy as np

    from bidsapp.templates.space import filled_brain

    folder.mkdir(parents=True, exist_ok=True)
    t1w = nib.Nifti1Image.from_filename(packaged("t1"))
    prefix = f"tpl-{DEFAULT}_res-1"

    mask_file = folder / f"{prefix}_desc-brain_mask.nii.gz"
    if not mask_file.exists():
        mask = filled_brain(np.asanyarray(t1w.dataobj))
        with _in_place(mask_file) as temporary:
            nib.save(_image(mask.astype(np.uint8), t1w.affine), temporary)
    for label in ("GM", "WM"):
        probability_file = folder / f"{prefix}_label-{label}_probseg.nii.gz"
        if not probability_file.exists():
            stored = np.asanyarray(nib.Nifti1Image.from_filename(packaged(label.lower())).dataobj)
            image = _image(stored, t1w.affine)
            # Probabilities are 0 to 1; the package stores them as 0 to 255.
            image.header.set_slope_inter(1 / 255, 0)
            with _in_place(probability_file) as temporary:
                nib.save(image, temporary)
    description_file = folder / "template_description.json"
    if not description_file.exists():
        with _in_place(description_file) as temporary:
            temporary.write_text(json.dumps(_description(t1w), indent=2) + "\n")
    # Last, because its presence is what says that all is there.
    with _in_place(folder / Path(T1W).name) as temporary:
        shutil.copyfile(packaged("t1"), temporary)


def _image(data: "np.ndarray", affine: "np.ndarray") -> "nib.Nifti1Image":
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    return image


def _description(t1w: "nib.Nifti1Image") -> dict[str, object]:
    return {
        "Name": "ICBM 152 nonlinear symmetric template 2009a, skull-stripped (as in nilearn)",
        "BIDSVersion": "1.10.0",
        "Identifier": DEFAULT,
        "Authors": [
            "Fonov V",
            "Evans AC",
            "Botteron K",
            "Almli CR",
            "McKinstry RC",
            "Collins DL",
        ],
        "License": LICENCE,
        "ReferencesAndLinks": [*CITATION, REFERENCE],
        "Species": "Homo sapiens",
        "res": {
            "1": {
                "origin": [float(value) for value in t1w.affine[:3, 3]],
                "shape": list(t1w.shape),
                "zooms": [1.0, 1.0, 1.0],
            }
        },
    }


@contextlib.contextmanager
def _in_place(final: Path) -> Iterator[Path]:
    """Give a temporary file beside `final` that takes its name when the block succeeds."""
    with temporary_file(final) as path:
        yield path
        os.replace(path, final)

"""The header of a NIfTI image: which affine is to be believed, and in which unit it is.

Sources: the NIfTI-1 standard (nifti1.h, methods 1 to 3) for sform, qform and xyzt_units.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import BadData

VOXEL_MM = (0.1, 10.0)
# No scanner is so large; a float32 in the header would no longer hold a tenth of a millimetre.
_FARTHEST_MM = 1e5
# Less of the box that its voxel sizes span is no volume: two axes run nearly the same way.
_FLATTEST = 0.1
# b² + c² + d² of a unit quaternion that was written with four decimals can be so much above 1.
_ROUNDED = 2e-4
_ROUNDED_SILENTLY = 1e-6  # float32
# Two forms that differ by less place the head the same way.
_SAME_DEGREES = 2.0
_SAME_SIZE = 0.05
_UNITS = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}


@dataclass(frozen=True)
class Placement:
    """Where the voxels of an image lie.

    Attributes
    ----------
    affine
        4 × 4, voxel indices (in the order of the file) to RAS millimetres.
    qform_affine
        The same by the header's qform, where `affine` is the sform's and the sound qform turns or
        sizes the head differently; else None.
    notes
        What was repaired or is doubtful, a sentence each.
    orientation_known
        False where the header holds no orientation at all, or two that contradict each other
        about left and right.
    """

    affine: np.ndarray
    qform_affine: np.ndarray | None
    notes: tuple[str, ...]
    orientation_known: bool


@dataclass(frozen=True)
class _Form:
    """One way in which a header places its voxels.

    `fault` says why it cannot be used, `certain` whether it tells left from right.
    """

    name: str
    affine: np.ndarray
    fault: str = ""
    notes: tuple[str, ...] = ()
    certain: bool = True


def from_files(kind: Any, files: Any) -> Any:
    """Open an image as nibabel does, but also where nibabel refuses its qform.

    The affine of what is returned is not to be relied upon: ask `placement`.

    Parameters
    ----------
    kind
        ``Nifti1Image`` or ``Nifti2Image``.
    files
        A file map of nibabel's.

    Raises
    ------
    Exception
        Whatever nibabel raises for a header that makes no sense.
    """
    try:
        return kind.from_file_map(files)
    except ValueError:
        file = files["image"]
        with file.get_prepare_fileobj("rb") as stream:
            header = kind.header_class.from_fileobj(stream)
        voxels = kind.ImageArrayProxy(file.fileobj or file.filename, header.copy())
        return kind(voxels, None, header, file_map=files)


def placement(path: Path, image: Any, *, any_size: bool = False) -> Placement:
    """Choose the affine to be believed: the sform, else the qform, else the voxel sizes alone.

    A form that cannot be used (NaN, flat, sizes that no head has) is passed over with a note
    where the other one is sound.

    Parameters
    ----------
    path
        The file, for messages.
    image
        What `bidsapp.intake.images.open_image` gave.
    any_size
        Whether voxels may be of sizes that no head has.

    Raises
    ------
    BadData
        No form can be used.
    """
    with image.file_map["image"].get_prepare_fileobj("rb") as stream:
        raw = type(image.header).from_fileobj(stream, check=False)  # before nibabel mends it
    unit = int(raw["xyzt_units"]) & 7
    return _chosen(path, [_judged(form, unit, any_size) for form in _forms(image.header, raw)])


def _forms(header: Any, raw: Any) -> list[_Form]:
    """Give the forms that have a code, the sform first; the voxel sizes alone where none has."""
    forms = []
    # nibabel takes a code that NIfTI does not define for 0, other tools for one
    if int(raw["sform_code"]) > 0:
        forms.append(_Form("sform", header.get_sform()))
    if int(raw["qform_code"]) > 0:
        forms.append(_qform(header, raw))
    if not forms:
        fault, notes, _ = _voxel_sizes(raw)
        doubt = (
            "The header holds no orientation (sform and qform codes are 0); "
            "that of the first Analyze images was assumed, so left and right are not certain."
        )
        forms.append(_Form("header", header.get_base_affine(), fault, (doubt, *notes), False))
    return forms


def _qform(header: Any, raw: Any) -> _Form:
    fault, notes, certain = _voxel_sizes(raw)
    vector = np.array([header[f"quatern_{axis}"] for axis in "bcd"], dtype=np.float64)
    with np.errstate(all="ignore"):
        length = float(vector @ vector)
    if not np.isfinite(length):
        fault = "a quaternion that is not finite"
    elif length > 1 + _ROUNDED:
        fault = f"a quaternion longer than 1 (b² + c² + d² = {length:.6g})"
    elif length > 1 + _ROUNDED_SILENTLY:
        notes += (
            "The quaternion of the qform is longer than 1 by rounding (b² + c² + d² = "
            f"{length:.7g}) and was scaled to length 1.",
        )
    if fault:
        return _Form("qform", np.full((4, 4), np.nan), fault)
    try:
        affine = header.get_qform()
    except ValueError:  # longer than nibabel allows: a turn by 180°, as its scalar part is 0
        from nibabel.quaternions import quat2mat

        sizes = np.array(header["pixdim"][1:4], dtype=np.float64)
        sizes[2] *= header["pixdim"][0]
        affine = np.eye(4)
        affine[:3, :3] = quat2mat([0, *vector]) * sizes
        affine[:3, 3] = [header[f"qoffset_{axis}"] for axis in "xyz"]
    return _Form("qform", affine, "", notes, certain)


def _voxel_sizes(raw: Any) -> tuple[str, tuple[str, ...], bool]:
    """Give what is wrong with pixdim, notes on it, and whether its sign tells left from right."""
    qfac, *sizes = (float(size) for size in raw["pixdim"][:4])
    if not np.isfinite(sizes).all() or 0 in sizes:
        return f"voxel sizes (pixdim) of {' × '.join(f'{size:g}' for size in sizes)}", (), True
    notes: tuple[str, ...] = ()
    if min(sizes) < 0:
        notes += ("The header's voxel sizes are negative; their absolute values were taken.",)
    if qfac in (-1, 0, 1):
        return "", notes, True
    doubt = (
        f"The header's qfac (pixdim[0]) is {qfac:g}, neither 1 nor −1; 1 was assumed, so left and "
        "right are not certain."
    )
    return "", (*notes, doubt), False


def _judged(form: _Form, unit: int, any_size: bool) -> _Form:
    """Bring a form to millimetres, or say why it cannot be used."""
    if form.fault:
        return form
    affine = form.affine
    with np.errstate(all="ignore"):
        sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        flat = not abs(np.linalg.det(affine[:3, :3])) >= _FLATTEST * np.prod(sizes) > 0
    if flat or not np.isfinite([*affine.ravel(), *sizes]).all():
        return replace(form, fault="an affine that maps no volume (zero, flat or not finite)")
    name, factor = _UNITS.get(unit, ("", 1.0))
    notes = form.notes
    if name and _are_head(sizes * factor):
        affine = np.vstack([affine[:3] * factor, affine[3]])
        notes += (f"The header is in {name}; voxel sizes and origin were turned to millimetres.",)
    elif name and _are_head(sizes):
        notes += (f"The header says {name}, but its voxel sizes are those of millimetres.",)
    elif not any_size and not _are_head(sizes):
        return replace(form, fault=_no_head(sizes, name))
    farthest = np.abs(affine[:3, 3]).max()
    if farthest > _FARTHEST_MM:
        return replace(form, fault=f"an origin that is {farthest:.3g} mm away")
    return replace(form, affine=affine, notes=notes)


def _are_head(sizes: np.ndarray) -> bool:
    """Whether a head can have voxels of these sizes (3,) in mm."""
    return bool(sizes.min() >= VOXEL_MM[0] and sizes.max() <= VOXEL_MM[1])


def _no_head(sizes: np.ndarray, unit: str) -> str:
    text = (
        f"voxels of {' × '.join(f'{size:.3g}' for size in sizes)} {unit or 'mm'}, where "
        f"{VOXEL_MM[0]:g} to {VOXEL_MM[1]:g} mm are expected"
    )
    for name, factor in _UNITS.values():
        if not unit and _are_head(sizes * factor):
            return (
                f"{text}; they look like {name}, which the header does not say: set xyzt_units to "
                f"{name}, or write the header in millimetres"
            )
    return f"{text}. Check the units of its header"


def _chosen(path: Path, forms: list[_Form]) -> Placement:
    sound = [form for form in forms if not form.fault]
    if not sound:
        faults = " and ".join(
            f"{form.fault} in the {form.name}" if len(forms) > 1 else form.fault for form in forms
        )
        raise BadData(f"{path} has {faults}. Repair its sform or qform, or convert it again.")
    first = sound[0]
    passed_over = [
        f"The {form.name} of the header has {form.fault}; the {first.name} was used."
        for form in forms
        if form.fault
    ]
    notes, known, other = (*passed_over, *first.notes), first.certain, None
    if len(sound) > 1:
        other = None if _same(first.affine, sound[1].affine) else sound[1].affine
        if np.linalg.det(first.affine[:3, :3]) * np.linalg.det(sound[1].affine[:3, :3]) < 0:
            known = False
            notes += (
                "The header's sform and qform contradict each other about left and right; "
                "the sform was used.",
            )
    return Placement(first.affine, other, notes, known)


def turn_degrees(one: np.ndarray, two: np.ndarray) -> float:
    """Largest angle between an axis of the voxels by one affine and the same by another."""
    first, second = (a[:3, :3] / np.sqrt((a[:3, :3] ** 2).sum(axis=0)) for a in (one, two))
    return float(np.degrees(np.arccos(np.clip((first * second).sum(axis=0), -1, 1))).max())


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two affines turn and size the voxels alike, wherever they put the origin."""
    ratios = np.sqrt((one[:3, :3] ** 2).sum(axis=0) / (two[:3, :3] ** 2).sum(axis=0))
    return turn_degrees(one, two) < _SAME_DEGREES and bool(np.abs(ratios - 1).max() < _SAME_SIZE)

"""Which affine of a header is believed: every sound form is used, every other one told."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bidsapp.errors import BadData, NoInput
from bidsapp.intake.header import placement, turn_degrees
from bidsapp.intake.images import open_image
from bidsapp.modalities.t1w.reading import read_head

SHAPE, SIZE = (18, 20, 22), 4.0
# where fields lie in the bytes of a header: offset, format of numpy, number
FIELDS = {
    "sform_code": {348: (254, "i2", 1), 540: (348, "i4", 1)},
    "qform_code": {348: (252, "i2", 1), 540: (344, "i4", 1)},
    "quatern": {348: (256, "f4", 3), 540: (352, "f8", 3)},
    "srow": {348: (280, "f4", 12), 540: (400, "f8", 12)},
    "pixdim": {348: (76, "f4", 8), 540: (104, "f8", 8)},
    "qoffset": {348: (268, "f4", 3), 540: (376, "f8", 3)},
}


def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, SHAPE).astype(np.int16)


def turned(*degrees: float, size: float = SIZE, mirrored: bool = False) -> np.ndarray:
    affine = np.eye(4)
    sizes = np.array([-size if mirrored else size, size, size])
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * sizes
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    return affine


STRAIGHT = turned(0, 0, 0)
NODDED = turned(70, 0, 0)


def content(
    sform: np.ndarray | None = None,
    qform: np.ndarray | None = None,
    kind: Any = nib.Nifti1Image,
    order: str = "<",
    **fields: Any,
) -> bytearray:
    """Bytes of a small head; `fields` go into the header as they are (see `FIELDS`)."""
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype("i2").newbyteorder(order))
    header.set_data_shape(SHAPE)
    header.set_zooms((SIZE, SIZE, SIZE))
    header.set_xyzt_units("mm")
    image = kind(voxels(), None, header)
    image.header.set_zooms((SIZE, SIZE, SIZE))
    if qform is not None:
        image.set_qform(qform, 1)
    if sform is not None:
        image.set_sform(sform, 1)
    raw = bytearray(image.to_bytes())
    for name, value in fields.items():
        start, form, number = FIELDS[name][int(header["sizeof_hdr"])]
        values = np.broadcast_to(np.asarray(value, dtype=float).ravel(), number)
        made = values.astype(np.dtype(form).newbyteorder(order)).tobytes()
        raw[start : start + len(made)] = made
    return raw


def saved(path: Path, raw: bytes) -> Path:
    path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)
    return path


def quaternion(affine: np.ndarray, length: float) -> np.ndarray:
    """b, c, d of an affine, as long as is wished."""
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    vector = Rotation.from_matrix(affine[:3, :3] / sizes).as_quat()[:3]
    return vector / np.linalg.norm(vector) * np.sqrt(length)


UPSIDE_DOWN = turned(180, 0, 0)  # b = 1, so that rounding can make it longer


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("sform", "length", "says", "used"),
    [
        (STRAIGHT, 1.002, "qform of the header has a quaternion longer than 1", STRAIGHT),
        (STRAIGHT, 1 + 4e-6, None, STRAIGHT),
        (None, 1 + 1e-7, None, UPSIDE_DOWN),
        (None, 1 + 4e-6, "longer than 1 by rounding", UPSIDE_DOWN),
        (None, 1 + 1.7e-4, "longer than 1 by rounding", UPSIDE_DOWN),
    ],
)
def test_a_quaternion_that_is_too_long_is_no_hindrance_where_it_need_not_be(
    kind: Any,
    order: str,
    sform: np.ndarray | None,
    length: float,
    says: str | None,
    used: np.ndarray,
    tmp_path: Path,
) -> None:
    raw = content(sform, UPSIDE_DOWN, kind, order, quatern=quaternion(UPSIDE_DOWN, length))
    path = saved(tmp_path / "sub-1_T1w.nii.gz", raw)
    place = placement(path, open_image(path))
    np.testing.assert_allclose(place.affine, used, atol=1e-4)
    assert place.orientation_known
    assert [note for note in place.notes if says and says in note] == list(place.notes)
    assert bool(place.notes) is (says is not None)
    head = read_head(path)
    assert head.notes == list(place.notes)
    # every voxel lies where the form that was used puts it
    index = np.array([2, 5, 7])
    there = np.linalg.inv(head.affine) @ used @ (*index, 1)
    assert head.data[tuple(np.rint(there[:3]).astype(int))] == voxels()[tuple(index)]


def test_a_quaternion_much_too_long_alone_is_refused_in_words(tmp_path: Path) -> None:
    raw = content(None, UPSIDE_DOWN, quatern=quaternion(UPSIDE_DOWN, 1.002))
    path = saved(tmp_path / "sub-1_T1w.nii", raw)
    with pytest.raises(
        BadData, match=r"longer than 1 \(b² \+ c² \+ d² = 1.002\)\. Repair"
    ) as caught:
        read_head(path)
    assert str(path) in str(caught.value)


NAN = np.full(12, np.nan)
SPOILT = {
    "nan": NAN,
    "infinite": np.full(12, np.inf),
    "zero": np.zeros(12),
    "flat": [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0],
    "one axis zero": [4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0],
    "in metres": (STRAIGHT[:3] / 1000).ravel(),
    "far away": [4, 0, 0, 1e12, 0, 4, 0, 0, 0, 0, 4, 0],
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_sform_leaves_the_word_to_a_sound_qform(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "sub-1_T1w.nii.gz", content(STRAIGHT, NODDED, srow=SPOILT[name]))
    place = placement(path, open_image(path))
    np.testing.assert_allclose(place.affine, NODDED, atol=1e-4)
    assert place.qform_affine is None
    assert place.orientation_known
    assert place.notes[0].startswith("The sform of the header has ")
    assert place.notes[0].endswith("; the qform was used.")


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_sform_alone_is_refused(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "sub-1_T1w.nii.gz", content(STRAIGHT, srow=SPOILT[name]))
    with pytest.raises(BadData, match=r"sub-1_T1w\.nii\.gz has .* convert it again"):
        read_head(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"quatern": np.nan},
        {"quatern": 1e30},
        {"qoffset": np.inf},
        {"pixdim": [1, 0, 4, 4, 0, 0, 0, 0]},
        {"pixdim": [1, np.nan, 4, 4, 0, 0, 0, 0]},
        {"pixdim": [1, 4000, 4, 4, 0, 0, 0, 0]},
    ],
)
def test_a_spoilt_qform_beside_a_sound_sform_is_noted_and_alone_refused(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    path = saved(tmp_path / "sub-1_T1w.nii.gz", content(STRAIGHT, NODDED, **fields))
    place = placement(path, open_image(path))
    np.testing.assert_allclose(place.affine, STRAIGHT, atol=1e-4)
    assert place.notes[0].startswith("The qform of the header has ")
    assert place.orientation_known
    alone = saved(tmp_path / "sub-2_T1w.nii.gz", content(None, NODDED, **fields))
    with pytest.raises(BadData, match=r"sub-2_T1w\.nii\.gz has "):
        read_head(alone)


def test_both_spoilt_are_named_both(tmp_path: Path) -> None:
    raw = content(STRAIGHT, NODDED, srow=NAN, quatern=2)
    with pytest.raises(BadData, match=r"in the sform and a quaternion longer.* in the qform"):
        read_head(saved(tmp_path / "sub-1_T1w.nii.gz", raw))


@pytest.mark.parametrize(("qfac", "known"), [(1, True), (-1, True), (0, True), (-7, False)])
def test_a_qfac_that_tools_read_differently_is_a_doubt(
    qfac: float, known: bool, tmp_path: Path
) -> None:
    raw = content(None, NODDED, pixdim=[qfac, 4, 4, 4, 0, 0, 0, 0])
    path = saved(tmp_path / "sub-1_T1w.nii.gz", raw)
    place = placement(path, open_image(path))
    assert place.orientation_known is known
    assert any("qfac" in note for note in place.notes) is not known


@pytest.mark.parametrize(
    ("sform", "qform", "other", "known"),
    [
        (STRAIGHT, STRAIGHT, False, True),
        (STRAIGHT, turned(1, 0, 0), False, True),
        (STRAIGHT, NODDED, True, True),
        (NODDED, STRAIGHT, True, True),
        (STRAIGHT, turned(0, 0, 0, size=5), True, True),
        (STRAIGHT, turned(0, 0, 0, mirrored=True), True, False),
        (STRAIGHT, turned(0, 0, 180), True, True),
    ],
)
def test_a_qform_that_disagrees_is_kept_for_a_second_attempt(
    sform: np.ndarray, qform: np.ndarray, other: bool, known: bool, tmp_path: Path
) -> None:
    path = saved(tmp_path / "sub-1_T1w.nii.gz", content(sform, qform))
    head = read_head(path)
    np.testing.assert_allclose(head.voxel_sizes, SIZE, rtol=1e-5)
    assert head.orientation_known is known
    assert (head.qform_affine is not None) is other
    if head.qform_affine is not None:
        # the same voxel by the qform of the file, and by that of the head in RAS order
        index = np.array([2, 5, 7])
        there = np.rint((np.linalg.inv(head.affine) @ sform @ (*index, 1))[:3])
        by_head = (head.qform_affine @ (*there, 1))[:3]
        np.testing.assert_allclose(by_head, (qform @ (*index, 1))[:3], atol=1e-3)


def test_a_translation_is_no_disagreement(tmp_path: Path) -> None:
    moved = STRAIGHT.copy()
    moved[:3, 3] += 300
    assert read_head(saved(tmp_path / "a.nii", content(STRAIGHT, moved))).qform_affine is None
    assert turn_degrees(STRAIGHT, moved) == 0
    assert turn_degrees(STRAIGHT, NODDED) == pytest.approx(70, abs=1e-3)


@pytest.mark.parametrize(
    ("unit", "factor", "used", "says"),
    [
        (2, 1, True, None),
        (0, 1, True, None),
        (1, 1e-3, True, "The header is in metres"),
        (3, 1e3, True, "The header is in micrometres"),
        (1, 1, True, "The header says metres, but"),
        (2, 1e-3, False, "look like metres, which the header does not say"),
        (0, 1e3, False, "look like micrometres, which the header does not say"),
        (1, 1e3, False, "Check the units"),
        (2, 0.01, False, "Check the units"),
        (1 | 8, 1e-3, True, "The header is in metres"),  # with seconds as the unit of time
    ],
)
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_units(
    unit: int, factor: float, used: bool, says: str | None, form: str, tmp_path: Path
) -> None:
    scaled = np.diag([factor, factor, factor, 1]) @ NODDED
    raw = content(**{form: scaled})
    raw[123] = unit  # xyzt_units
    path = saved(tmp_path / "sub-1_T1w.nii.gz", raw)
    if not used:
        assert says is not None
        with pytest.raises(BadData, match=says):
            read_head(path)
        return
    head = read_head(path)
    np.testing.assert_allclose(head.voxel_sizes, SIZE, rtol=1e-4)
    place = placement(path, open_image(path))
    np.testing.assert_allclose(place.affine, NODDED, atol=1e-3)
    assert (not head.notes) if says is None else any(says in note for note in head.notes)


@pytest.mark.parametrize("name", ["sform", "qform"])
def test_a_code_that_nifti_does_not_define_is_one_all_the_same(name: str, tmp_path: Path) -> None:
    raw = content(**{name: NODDED}, **{f"{name}_code": 77})
    head = read_head(saved(tmp_path / "sub-1_T1w.nii.gz", raw))
    place = placement(tmp_path / "sub-1_T1w.nii.gz", open_image(tmp_path / "sub-1_T1w.nii.gz"))
    np.testing.assert_allclose(place.affine, NODDED, atol=1e-4)
    assert (head.orientation_known, head.notes) == (True, [])


def test_negative_voxel_sizes_are_noted(tmp_path: Path) -> None:
    raw = content(None, NODDED, pixdim=[1, -4, 4, 4, 0, 0, 0, 0])
    head = read_head(saved(tmp_path / "sub-1_T1w.nii.gz", raw))
    assert head.notes == [
        "The header's voxel sizes are negative; their absolute values were taken."
    ]


def test_voxel_sizes_of_zero_without_any_form_are_refused(tmp_path: Path) -> None:
    raw = content(pixdim=[1, 4, 0, 4, 0, 0, 0, 0])
    with pytest.raises(BadData, match="voxel sizes"):
        read_head(saved(tmp_path / "sub-1_T1w.nii.gz", raw))


INTERESTING = [0, 1, 2, 3, 255, 0x7F, 0x80, 0xFF, 0xC0]
PATCHES = st.lists(
    st.tuples(
        st.integers(0, 559),
        st.one_of(
            st.binary(min_size=1, max_size=16),
            st.lists(st.sampled_from(INTERESTING), min_size=1, max_size=8).map(bytes),
            st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, 1e-30]).flatmap(
                lambda value: st.sampled_from(["<f4", ">f4", "<f8"]).map(
                    lambda form: np.array(value, form).tobytes()
                )
            ),
        ),
    ),
    min_size=1,
    max_size=6,
)


@given(
    patches=PATCHES,
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    order=st.sampled_from("<>"),
    forms=st.sampled_from([(STRAIGHT, None), (None, NODDED), (STRAIGHT, NODDED), (None, None)]),
    ending=st.sampled_from([".nii", ".nii.gz"]),
)
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_the_header_holds_is_read_well_or_refused_with_the_name(
    patches: list[tuple[int, bytes]],
    kind: Any,
    order: str,
    forms: tuple[np.ndarray | None, np.ndarray | None],
    ending: str,
    tmp_path: Path,
) -> None:
    raw = content(*forms, kind, order)
    for start, new in patches:
        raw[start : start + len(new)] = new
    path = saved(tmp_path / f"sub-1_T1w{ending}", raw)
    try:
        head = read_head(path)
    except (BadData, NoInput) as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert path.name in refused
        return
    assert np.isfinite(head.data).all()
    assert np.isfinite(head.affine).all()
    assert nib.aff2axcodes(head.affine) == ("R", "A", "S")
    assert (head.voxel_sizes > 0.09).all()
    assert (head.voxel_sizes < 11).all()

"""Images are read to their last byte: damage is noticed, or has changed no value."""

import bz2
import gzip
import os
import random
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData, NoInput
from bidsapp.intake.images import MAX_VOXELS, open_image, read_numbers

SHAPE = (24, 20, 16)
VALUES = np.random.default_rng(0).normal(100, 30, SHAPE).astype(np.int16)


def packed(level: int = 6, kind: type = nib.Nifti1Image) -> bytes:
    """An image as a gzip file of one member, named as gzip names it."""
    image = kind(VALUES, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_slope_inter(0.5, -3)
    return gzip.compress(image.to_bytes(), level)


def plain() -> bytes:
    return gzip.decompress(packed())


def wanted() -> np.ndarray:
    return VALUES * 0.5 - 3


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".NII.GZ"])
def test_values_and_affine_are_those_of_nibabel(kind: type, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"image{ending}"
    content = packed(kind=kind)
    path.write_bytes(content if ending.lower().endswith(".gz") else gzip.decompress(content))
    data, affine = read_numbers(path)
    assert data.dtype == np.float32
    assert np.array_equal(data, wanted().astype(np.float32))
    assert np.array_equal(affine, np.diag([2, 2, 2, 1]))
    assert isinstance(open_image(path), kind)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), level=st.sampled_from([0, 6])
)
def test_a_flipped_bit_is_noticed_or_changes_no_value(
    place: float, bit: int, level: int, tmp_path: Path
) -> None:
    content = bytearray(packed(level))
    content[int(place * len(content))] ^= 1 << bit
    assert noticed_or_harmless(bytes(content), tmp_path)


def noticed_or_harmless(content: bytes, folder: Path) -> bool:
    path = folder / "sub-01_T1w.nii.gz"
    path.write_bytes(content)
    try:
        data, affine = read_numbers(path)
    except BadData as error:
        return str(path) in str(error)
    return np.array_equal(data, wanted().astype(np.float32)) and affine[0, 0] == 2


def test_every_bit_of_the_last_bytes_is_noticed(tmp_path: Path) -> None:
    for place in range(-8, 0):
        for bit in range(8):
            content = bytearray(packed())
            content[place] ^= 1 << bit
            path = tmp_path / "image.nii.gz"
            path.write_bytes(content)
            with pytest.raises(BadData, match="damaged or cut short"):
                open_image(path)


def test_every_length_that_is_cut_short_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    content = packed()
    lengths = {0, 1, 2, 9, 10, 17, 18, len(content) - 1, len(content) - 4, len(content) - 8}
    for length in sorted(lengths | set(range(20, len(content), 997))):
        path.write_bytes(content[:length])
        with pytest.raises(BadData):
            open_image(path)


def test_an_uncompressed_image_that_is_cut_short_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "image.nii"
    for length in (0, 100, 348, 352, len(plain()) - 1):
        path.write_bytes(plain()[:length])
        with pytest.raises(BadData, match=r"empty|no NIfTI header|lacks \d+ bytes|damaged"):
            open_image(path)
    path.write_bytes(plain() + b"\0" * 100)
    assert np.array_equal(read_numbers(path)[0], wanted().astype(np.float32))


def members(content: bytes, *cuts: int) -> bytes:
    """The same bytes as several gzip members, as bgzip and appending write them."""
    edges = [0, *cuts, len(content)]
    return b"".join(gzip.compress(content[a:b]) for a, b in pairwise(edges))


SOUND = {
    "two members": lambda: members(plain(), 5000),
    "a member that ends in the header": lambda: members(plain(), 100, 352),
    "an empty member": lambda: members(plain(), 0, 5000, 5000),
    "many members": lambda: members(plain(), *range(64, len(plain()), 640)),
    "zeros after it": lambda: packed() + bytes(5000),
    "zeros between members": lambda: (
        gzip.compress(plain()[:999]) + b"\0" * 7 + gzip.compress(plain()[999:])
    ),
    "bytes after it that are no gzip": lambda: packed() + b"garbage" * 100,
    "padding after the last voxel": lambda: gzip.compress(plain() + bytes(999)),
    "no compression": lambda: packed(0),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_whole_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(SOUND[name]())
    assert np.array_equal(read_numbers(path)[0], wanted().astype(np.float32))


def test_damage_in_any_member_is_noticed(tmp_path: Path) -> None:
    draw = random.Random(3)
    whole = members(plain(), 4000, 9000)
    for _ in range(150):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        assert noticed_or_harmless(bytes(content), tmp_path)


def with_shape(*shape: int, code: int = 4) -> bytes:
    """A header alone that announces so many voxels."""
    header = bytearray(nib.Nifti1Image(VALUES, np.eye(4)).to_bytes()[:352])
    header[40 : 40 + 2 * (len(shape) + 1)] = struct.pack(f"<{len(shape) + 1}h", len(shape), *shape)
    header[70:74] = struct.pack("<2h", code, 16)
    return bytes(header)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "shape", [(10000, 10000, 10000), (32767,) * 3, (256, 256, 256, 30000), (1024, 1024, 513)]
)
def test_a_header_beyond_the_limits_is_refused_before_memory_is_taken(
    shape: tuple[int, ...], ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"image{ending}"
    content = with_shape(*shape)
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    with pytest.raises(BadData, match=rf"announces .* at most {MAX_VOXELS} voxels"):
        open_image(path)


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    """4 MB of gzip that are 4 GB: neither kept nor read to the end."""
    path = tmp_path / "bomb.nii.gz"
    block = gzip.compress(bytes(1 << 24))
    path.write_bytes(packed() + block * 250)
    began = time.process_time()
    with pytest.raises(BadData, match="unpacks to more than twice"):
        open_image(path)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("start", "value", "says"),
    [
        (40, struct.pack("<8h", 3, -5, 20, 16, 1, 1, 1, 1), "header"),
        (40, struct.pack("<8h", 99, 24, 20, 16, 1, 1, 1, 1), "header"),
        (70, struct.pack("<h", 12345), "header"),
        (108, struct.pack("<f", np.inf), "header"),
        (108, struct.pack("<f", np.nan), "header"),
        (108, struct.pack("<f", 1e30), "announces|header"),
        (108, struct.pack("<f", -352.0), "header"),
        (344, b"n+9\0", "header"),
    ],
)
def test_a_header_that_makes_no_sense_is_told_in_words(
    start: int, value: bytes, says: str, tmp_path: Path
) -> None:
    content = bytearray(plain())
    content[start : start + len(value)] = value
    for name, whole in (("a.nii", bytes(content)), ("a.nii.gz", gzip.compress(bytes(content)))):
        (tmp_path / name).write_bytes(whole)
        with pytest.raises(BadData, match=says) as caught:
            read_numbers(tmp_path / name)
        assert name in str(caught.value)


def test_no_header_whatever_its_bits_ends_the_program(tmp_path: Path) -> None:
    """Any bit of an uncompressed header: read, or refused by an error of the app's own."""
    path = tmp_path / "image.nii"
    draw = random.Random(0)
    for _ in range(400):
        content = bytearray(plain())
        for _ in range(draw.randrange(1, 4)):
            content[draw.randrange(352)] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        with suppress(BadData):
            read_numbers(path)


def other_format(content: bytes) -> bytes:
    return bz2.compress(content)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html>" * 50, other_format(b"x" * 999), plain()])
def test_what_is_no_gzip_is_told_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(content)
    with pytest.raises(BadData, match="not compressed, though its name says so"):
        open_image(path)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("offset", [0, 1, 300])
def test_a_header_is_never_read_as_voxels(kind: type, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "image.nii"
    kind(VALUES, np.eye(4)).to_filename(path)
    raw = bytearray(path.read_bytes())
    at, code = (108, "<f") if kind is nib.Nifti1Image else (168, "<q")
    raw[at : at + struct.calcsize(code)] = struct.pack(code, offset)
    path.write_bytes(raw)
    with pytest.raises(BadData, match=f"vox_offset {offset} lies within the header itself"):
        open_image(path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


IRREGULAR: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, "it is a pipe, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "socket": (listening, "it is a socket, not a file"),
    "folder": (lambda path: path.mkdir(), "it is a folder, not a file"),
    "loop": (lambda path: path.symlink_to(path.name), "symbolic links"),
    "nothing": (lambda path: path.symlink_to("nowhere"), "is not there"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 108 bytes
    path = Path("image.nii.gz")
    make, says = IRREGULAR[kind]
    make(path)
    with pytest.raises(NoInput, match=says):
        open_image(path)


def test_colours_are_no_numbers(tmp_path: Path) -> None:
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(colours, np.eye(4)).to_filename(tmp_path / "rgb.nii.gz")
    nib.Nifti1Image(VALUES * 1j, np.eye(4)).to_filename(tmp_path / "phase.nii.gz")
    for path in tmp_path.iterdir():
        with pytest.raises(BadData, match="colours or complex"):
            read_numbers(path)

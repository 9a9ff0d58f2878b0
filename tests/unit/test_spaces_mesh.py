"""Meshes as a space: what a point stands for, who its neighbours are, and what is no mesh."""

import base64
import os
import re
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from bidsapp.errors import BadData, NoInput
from bidsapp.intake.gifti import read_gifti, read_surface
from bidsapp.spaces.gifti import packed, unpacked, write_values
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.surface import Mesh
from tests.unit.spaces_table import ellipsoid


def test_sizes_add_up_to_the_surface() -> None:
    ball = MeshSpace(ellipsoid((10.0, 10.0, 10.0), 4))
    assert ball.sizes().sum() == pytest.approx(4 * np.pi * 100, rel=0.01)
    upper = ball.points()[:, 2] > 0
    assert ball.sizes()[upper].sum() == pytest.approx(2 * np.pi * 100, rel=0.06)


def test_neighbours_share_an_edge() -> None:
    #  0 - 1 - 2
    #    \\ | /
    #      3      4 is of no triangle
    points = np.array([[0, 1, 0], [1, 1, 0], [2, 1, 0], [1, 0, 0], [9, 9, 9]], np.float32)
    space = MeshSpace(Mesh(points, np.array([[0, 3, 1], [1, 3, 2]], np.int32)))
    wanted = np.zeros((5, 5), int)
    for a, b in ((0, 1), (0, 3), (1, 3), (1, 2), (2, 3)):
        wanted[a, b] = wanted[b, a] = 1
    np.testing.assert_array_equal(space.neighbours().toarray(), wanted)
    np.testing.assert_allclose(space.sizes()[:4], [1 / 6, 1 / 3, 1 / 6, 1 / 3])
    assert space.spacing[0] == pytest.approx((3 * 1 + 2 * np.sqrt(2)) / 5)
    assert space.facts() == {"Points": 5, "Triangles": 2}
    assert space.holds((5,), None)
    assert not space.holds((5,), np.eye(4))
    assert not space.holds((4,), None)


@pytest.mark.parametrize(
    ("points", "faces"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3), int)),
        (np.zeros((3, 3)), np.array([[0, 1, 3]])),
        (np.zeros((3, 3)), np.array([[0, 1, -1]])),
        (np.zeros((3, 2)), np.array([[0, 1, 2]])),
        (np.zeros((4, 3)), np.array([[0, 1, 2, 3]])),
    ],
    ids=["no triangle", "a point that is not there", "a negative one", "flat", "squares"],
)
def test_what_is_no_mesh_is_refused(points: np.ndarray, faces: np.ndarray) -> None:
    with pytest.raises(BadData, match="a mesh needs"):
        MeshSpace(Mesh(points, faces))


def test_only_the_same_mesh_is_the_same_whole() -> None:
    one, other = ellipsoid((10.0, 10.0, 10.0), 1), ellipsoid((10.0, 10.0, 11.0), 1)
    turned = Mesh(one.vertices, one.faces[:, ::-1])
    assert MeshSpace(one).same_whole(MeshSpace(one, "named"))
    assert not MeshSpace(one).same_whole(MeshSpace(other))
    assert not MeshSpace(one).same_whole(MeshSpace(turned))


def _bomb(size: int) -> str:
    """Base64 of so many zeros, packed."""
    opened = zlib.compressobj(9)
    parts = [opened.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return base64.b64encode(b"".join([*parts, opened.flush()])).decode()


def test_an_array_in_a_text_unpacks_to_no_more_than_its_shape() -> None:
    told = packed(np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(unpacked(told), np.arange(6).reshape(2, 3))
    tracemalloc.start()
    with pytest.raises(ValueError, match="of another length"):
        unpacked(told | {"zlib": _bomb(2**26)})
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()
    for wrong in (
        {"shape": [10**9, 10**9]},
        {"shape": [-2, -3]},
        {"dtype": "object"},
        {"dtype": "(2("},
        {"zlib": told["zlib"][:-8]},
    ):
        with pytest.raises(ValueError, match=r"an array of|incomplete|padding|error"):
            unpacked(told | wrong)


def _gifti(path: Path) -> str:
    mesh = ellipsoid((10.0, 10.0, 10.0), 1)
    write_values(path, np.arange(len(mesh.vertices)), "{}", {})
    return path.read_text()


def test_a_surface_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.shape.gii"
    text = _gifti(path)
    assert len(read_gifti(path)[0])
    monkeypatch.setattr("bidsapp.intake.gifti.MAX_BYTES", 2**22)
    path.write_text(re.sub(r"<Data>.*?</Data>", f"<Data>{_bomb(2**23)}</Data>", text, flags=re.S))
    with pytest.raises(BadData, match="unpacks to more than"):
        read_gifti(path)


def test_a_surface_file_reads_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "a.shape.gii"
    text = _gifti(path)
    np.arange(200, dtype=np.float32).tofile(tmp_path / "secret")
    outside = text.replace("GZipBase64Binary", "ExternalFileBinary").replace(
        'ExternalFileName=""', 'ExternalFileName="secret"'
    )
    assert outside.count("secret") == 1
    path.write_text(re.sub(r"<Data>.*?</Data>", "<Data></Data>", outside, flags=re.S))
    with pytest.raises(BadData, match="cannot be read as GIFTI"):
        read_gifti(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.shape.gii")
    with pytest.raises(NoInput, match="it is a pipe, not a file"):
        read_gifti(tmp_path / "pipe.shape.gii")
    with pytest.raises(NoInput, match="is not there"):
        read_surface(tmp_path / "none.surf.gii")

"""Pictures of maps on surfaces: what is in front is seen, on its own side, and named rightly."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from bidsapp.contracts.home import View
from bidsapp.contracts.modality import modality_named
from bidsapp.drawing.turning import SIDES, turning_view
from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import ANATOMY, BONES
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.reports.run.surface_maps import draw_on_surface, turn_on_surface
from bidsapp.reports.saliency.surface_views import SurfaceMap, read_surface_map, rendered
from bidsapp.spaces.mesh import MeshSpace
from tests.unit.spaces_table import ellipsoid

FRONT = View("from the front", (1.0, 0, 0), (0, 0, 1.0), ("left", "right"))
BACK = View("from the back", (-1.0, 0, 0), (0, 0, 1.0), ("right", "left"))
KNEE = modality_named("knee")


def ball() -> SurfaceMap:
    """Warm at +x on the side of -y, which is toward the eye from the front; cold at -x behind."""
    mesh = ellipsoid((20.0, 20.0, 20.0), 3)
    x, y, _ = mesh.vertices.T
    values = np.where((x > 8) & (y < 0), 1.0, np.where((x < -8) & (y > 0), -1.0, 0.0))
    return SurfaceMap(mesh.vertices.astype(float), mesh.faces, values, "ball")


def coloured(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a picture is warm, and where cold."""
    red, blue = picture[..., 0].astype(int), picture[..., 2].astype(int)
    return (red - blue > 40) & (picture[..., 3] > 0), (blue - red > 40) & (picture[..., 3] > 0)


def test_the_near_side_hides_the_far_one() -> None:
    shown = ball()
    for view, which in ((FRONT, 0), (BACK, 1)):
        found = rendered(shown, view, np.zeros(3), 20.0, 0.5, 1.0)
        parts = coloured(found)
        half = found.shape[1] // 2
        assert parts[which][:, half:].sum() > 3000
        assert parts[which][:, :half].sum() == 0
        assert parts[1 - which].sum() == 0


def test_the_surface_has_no_holes_whichever_way_its_triangles_are_stored() -> None:
    shown = ball()
    pictures = []
    for triangles in (shown.triangles, shown.triangles[:, ::-1]):
        one = SurfaceMap(shown.points, triangles, shown.values, "ball")
        pictures.append(rendered(one, FRONT, np.zeros(3), 21.0, 0.5, 1.0))
        opaque = pictures[-1][..., 3] > 0
        filled = opaque.sum() / opaque.size
        assert filled == pytest.approx(np.pi / 4 * (20 / 21) ** 2, abs=0.02)
    difference = np.abs(pictures[0].astype(int) - pictures[1].astype(int))
    assert (difference.max(axis=2) > 12).mean() < 0.01


@pytest.mark.parametrize("bone", BONES)
def test_a_bone_s_views_name_their_ends_rightly(bone: str) -> None:
    axes = grid_of(ANATOMY[bone]).axes  # rows: the map's axes in (lateral, anterior, superior)
    names = {"medial": (0, -1), "lateral": (0, 1), "front": (1, 1), "back": (1, -1)}
    views = KNEE.views(bone)
    assert views[0].title == "from the joint"
    for view in views:
        right, up = np.array(view.right), np.array(view.up)
        assert right @ up == pytest.approx(0)
        assert np.linalg.norm(right) == pytest.approx(1)
        for end, sign in zip(view.ends, (-1, 1), strict=True):
            axis, way = names[end]
            assert sign * (right @ axes.T[axis]) * way > 0.99
    toward = np.cross(views[0].right, views[0].up)
    np.testing.assert_allclose(toward, [0, 0, -1], atol=1e-9)  # the map's lowest row
    assert KNEE.views("") == ()


def write(folder: Path, space: MeshSpace, values: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "group_of-all_statmap.shape.gii"
    space.write(path, values.astype(np.float32), {"Units": "1"})
    (folder / "summary.json").write_text(json.dumps({"default": path.name, "units": "logit"}))
    return path


def test_the_map_on_the_reference_s_bone_is_drawn_where_there_is_one(tmp_path: Path) -> None:
    space = MeshSpace(ellipsoid((20.0, 20.0, 20.0), 2), "tibia")
    values = np.linspace(-1, 1, space.shape[0])
    own = write(tmp_path, space, values)
    summary = json.loads((tmp_path / "summary.json").read_text())
    drawing, file, bar, shown = draw_on_surface(tmp_path, summary, KNEE, "base", "LEAK: a step")
    assert file == own
    assert bar["ticks"][-1] == "+1"
    assert float(shown) == pytest.approx(0.9, abs=0.01)
    text = drawing.standalone()
    assert text.count("<image") == 4
    assert "LEAK: a step" in text
    assert "from the joint" in text
    turned = turn_on_surface(tmp_path / "figures", file, KNEE, "base", "logit", "LEAK: a step")
    assert turned.name == "surface_base.html"
    page = turned.read_text()
    assert "LEAK: a step base: logit" in page
    assert "niivue" in page.lower()
    options = re.findall(r'<option value="(\w+)">view: ([^<]*)<', page)
    # the eye begins at the joint; up is then to the front, to the right the lateral side
    assert options[0] == ("left", "from the joint")
    named = {"from the joint", "from the front", "from the medial side", "from the lateral side"}
    assert {title for _, title in options} == {*named, "-"}
    assert not re.search(r"(href|src)=.https?://", page)  # it opens without a network
    carried = write(tmp_path / "surface", space, values)
    assert draw_on_surface(tmp_path, summary, KNEE, "base", "")[1] == carried


def test_values_of_one_sign_have_one_bar_of_colours() -> None:
    mesh = ellipsoid((20.0, 20.0, 20.0), 2)
    values = np.where(mesh.vertices[:, 0] > 0, 2.0, np.nan)
    page = turning_view(mesh.vertices, mesh.faces, values, "Thickness, mm", (0.0, 3.0))
    assert "useNegativeCmap: true" not in page
    assert "colormapNegative =" not in page
    red = json.loads(re.findall(r"let cmap = ({.*});?", page)[0].replace("'", '"'))["pos"]["R"]
    assert red[0] == 68  # viridis from its beginning
    assert red[-1] == 253
    # scripts wait for the page
    assert page.count('addEventListener("load", () => {document.getElementById("gl")') == 1
    assert [name for name, _ in re.findall(r'<option value="(\w+)">view: (\w+)<', page)] == [*SIDES]


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    space = MeshSpace(ellipsoid((20.0, 20.0, 20.0), 1), "nothing")
    path = write(tmp_path, space, np.zeros(space.shape))
    summary = json.loads((tmp_path / "summary.json").read_text())
    with pytest.raises(BadData, match="drawn from no side"):
        draw_on_surface(tmp_path, summary, KNEE, "base", "")
    other = MeshSpace(ellipsoid((20.0, 20.0, 20.0), 2), "nothing")
    other.write(tmp_path / "other.shape.gii", np.zeros(other.shape, np.float32), {})
    with pytest.raises(BadData, match=r"has 30 values, surface-nothing_mesh\.surf\.gii 126 points"):
        read_surface_map(path)

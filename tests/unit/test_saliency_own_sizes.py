"""Weighted averages count cells by their area on the person's own surface."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bidsapp.contracts.home import Home, OwnPlaces
from bidsapp.contracts.space import relative_sizes
from bidsapp.contracts.unit import Unit
from bidsapp.errors import NoInput
from bidsapp.evaluation.regression.guided import guided_averages
from bidsapp.saliency.own_sizes import own_sizes
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.surface import Mesh
from tests.unit.spaces_table import ellipsoid

SPHERE = Sphere((48, 24), radius=25.0, label="bone")
LONG = ellipsoid((10.0, 20.0, 30.0), 4)
UNITS = [Unit("sub-long"), Unit("sub-round"), Unit("sub-lost")]
FILES = {unit: Path(unit.participant) for unit in UNITS}


class Bones(OwnPlaces):
    """One is long, one is round, one has lost its surface."""

    carries = True

    def home(self, image: Path, channel: str) -> Home | None:
        if image.name == "sub-lost":
            raise NoInput(f"{image} is not there; prepare it")
        mesh = LONG if image.name == "sub-long" else ellipsoid((25.0, 25.0, 25.0), 4)
        space = replace(SPHERE, mesh=Mesh(mesh.vertices, mesh.faces))
        return Home(space, image, channel.partition("_")[0])


def found_of(units: list[Unit]) -> tuple[np.ndarray, list[str]]:
    return own_sizes(Bones(), FILES, units, "bone_depth", SPHERE)  # type: ignore[arg-type]


def mean_over_the_surface(values: np.ndarray) -> float:
    a, b, c = (LONG.vertices[LONG.faces[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return float(np.average(values[LONG.faces].mean(axis=1), weights=areas))


def test_a_mean_of_the_map_is_the_mean_over_the_persons_surface() -> None:
    values = LONG.vertices[:, 2] ** 2
    seen = replace(SPHERE, mesh=Mesh(LONG.vertices, LONG.faces)).cut(values).reshape(1, -1)
    sizes, notes = found_of(UNITS[:1])
    assert not notes
    everything = np.ones(seen.shape[1])
    true = mean_over_the_surface(values)
    assert guided_averages(seen, everything, sizes)[0] == pytest.approx(true, rel=0.02)
    # by what all people have in common it is another mean
    common = guided_averages(seen, everything, relative_sizes(SPHERE))[0]
    assert abs(common / true - 1) > 0.1


def test_each_row_has_its_own_sizes_and_who_has_no_surface_is_named() -> None:
    sizes, notes = found_of([UNITS[1], UNITS[2], UNITS[0], UNITS[0]])
    assert sizes.shape == (4, 48 * 24)
    np.testing.assert_allclose(sizes.mean(axis=1), 1)
    # a cell by the pole is narrow, so it shows the toy's flat triangles most
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=0.1)
    np.testing.assert_array_equal(sizes[1], relative_sizes(SPHERE))
    np.testing.assert_array_equal(sizes[2], sizes[3])
    assert any("sub-lost is not there" in note for note in notes)
    assert any("averages of sub-lost: the pixels of the map count" in note for note in notes)


def test_images_without_surfaces_have_one_size_for_everybody() -> None:
    sizes, notes = own_sizes(OwnPlaces(), FILES, UNITS, "bone_depth", SPHERE)  # type: ignore[arg-type]
    assert sizes.shape == (48 * 24,)
    assert not notes

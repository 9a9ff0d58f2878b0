"""Maps carried from everybody's own surface onto one, compared there, and what stops it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from bidsapp.contracts.home import Carry, Home, OwnPlaces
from bidsapp.contracts.unit import Unit, units_in
from bidsapp.errors import BadData, NoInput
from bidsapp.saliency import surface_files
from bidsapp.saliency.on_surfaces import carry_maps, choose_reference, homes_of
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.files import read_whole
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.surface import Mesh
from tests.unit.saliency_stacks import rows_of
from tests.unit.spaces_table import ellipsoid
from tests.unit.synthetic_cohort import small_recipe
from tests.unit.test_spaces_saliency import ABOUT, held_out_once

SPHERE = Sphere((24, 12), radius=25.0, label="ball")
PLANTED = SPHERE.directions @ np.array([0.6, 0.8, 0]) > 0.8


class Balls(OwnPlaces):
    """Ellipsoids of different sizes; one is lost, and one has no surface."""

    carries = True

    def home(self, image: Path, channel: str) -> Home | None:
        number = int(image.name)
        if number == 3:
            raise NoInput(f"{image} is not there; prepare it")
        if number == 4:
            return None
        mesh = ellipsoid((20.0 + number / 10, 22.0, 24.0), 2)
        space = replace(SPHERE, mesh=Mesh(mesh.vertices, mesh.faces))
        return Home(space, image, channel.partition("_")[0])

    def carried(self, reference: Home, other: Home) -> Carry:
        ours, theirs = (home.space.mesh.vertices for home in (reference, other))  # type: ignore[attr-defined]
        unit = [one / np.linalg.norm(one, axis=1)[:, None] for one in (ours, theirs)]
        nearest = cKDTree(unit[1]).query(unit[0])[1]
        return lambda values: values[nearest]


def stack_of(n: int = 30) -> MapStack:
    rows = rows_of(n=n, folds=1)
    values = np.random.default_rng(1).standard_normal((n, 1, *SPHERE.shape)).astype(np.float32)
    values[:, 0, PLANTED] += 3 * rows["outcome"].to_numpy(np.float32)[:, None]
    return MapStack(rows, values, ("ball_depth",), SPHERE, dict(ABOUT))


def files_of(stack: MapStack) -> dict[Unit, Path]:
    return {unit: Path(unit.participant[4:]) for unit in units_in(stack.rows)}


def cohort_of(stack: MapStack, age: np.ndarray | None = None) -> pd.DataFrame:
    years = np.arange(len(stack.rows)) if age is None else age
    return pd.DataFrame(
        {"participant_id": stack.rows["participant_id"], "session_id": "", "age": years}
    )


@pytest.fixture(scope="module")
def homes() -> tuple[dict[Unit, Home], list[str]]:
    return homes_of(Balls(), files_of(stack_of()), "ball_depth")  # type: ignore[arg-type]


def test_who_has_no_surface_is_named(homes: tuple[dict[Unit, Home], list[str]]) -> None:
    found, notes = homes
    assert len(found) == 28
    assert [note for note in notes if "sub-03" in note and "is not there" in note]


def test_maps_come_to_the_same_place_of_the_reference(
    homes: tuple[dict[Unit, Home], list[str]],
) -> None:
    stack = stack_of()
    stack.values[:] = SPHERE.directions[..., 0]
    found = carry_maps(stack, Balls(), homes[0], cohort_of(stack), ["age"])  # type: ignore[arg-type]
    assert {"sub-03", "sub-04"}.isdisjoint(found.stack.rows["participant_id"])
    assert found.mask.all()
    assert isinstance(found.stack.space, MeshSpace)
    points = found.stack.space.points()
    toward = points[:, 0] / np.linalg.norm(points, axis=1)
    for values in found.stack.values[:, 0]:
        # a cell is 0.26 wide, and so far apart are the toy's points
        assert np.abs(values - toward).max() < 0.26
        assert np.abs(values - toward).mean() < 0.08
    assert found.stack.about["reference"] == found.reference.label


def test_the_reference_is_nearest_to_the_mean_and_knows_no_outcome(
    homes: tuple[dict[Unit, Home], list[str]],
) -> None:
    stack = stack_of()
    age = np.full(30, 80.0)
    age[::2], age[11] = 20, 51
    one, by = choose_reference(stack.rows, homes[0], cohort_of(stack, age), ["age"])
    assert (one.participant, by) == ("sub-11", "nearest to the mean of age")
    flipped = stack.rows.assign(outcome=1 - stack.rows["outcome"])
    assert choose_reference(flipped, homes[0], cohort_of(stack, age), ["age"])[0] == one
    kept = stack.rows[[unit in homes[0] for unit in units_in(stack.rows)]]
    mean, by = choose_reference(kept, homes[0], cohort_of(stack), [])
    assert by == "nearest to the mean surface"
    assert 12 <= int(mean.participant[4:]) <= 18


def test_points_that_few_have_are_left_out_and_single_gaps_are_filled(
    homes: tuple[dict[Unit, Home], list[str]],
) -> None:
    class Holes(Balls):
        def carried(self, reference: Home, other: Home) -> Carry:
            way = super().carried(reference, other)
            gone = [0, 1] if int(other.file.name) % 2 else [0]
            if other.file.name == "07":
                gone = [0, 5]

            def carry(values: np.ndarray) -> np.ndarray:
                found = way(values).copy()
                found[gone] = np.nan
                return found

            return carry

    stack = stack_of()
    stack.values[:] = 7
    found = carry_maps(stack, Holes(), homes[0], cohort_of(stack), ["age"])  # type: ignore[arg-type]
    assert np.flatnonzero(~found.mask).tolist() == [0, 1]
    assert (found.stack.values[:, :, found.mask] == 7).all()
    assert (found.stack.values[:, :, :2] == 0).all()


def write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: OwnPlaces, **settings: Any
) -> Path:
    """Write as a run does; gives the variant's folder."""
    monkeypatch.setattr(surface_files, "modality_named", lambda _: modality)
    stack = stack_of()
    images = {unit: str(path) for unit, path in files_of(stack).items()}
    where = MapPlace(tmp_path / "all", tmp_path, "", "", images)
    recipe = small_recipe(saliency={"permutations": 99, "smoothing_fwhm_mm": 6} | settings)
    shared = {
        "splits": held_out_once(stack.rows),
        "template_label": "",
        "mask": tmp_path / "none",
        "covariates": cohort_of(stack),
        "images": "of the sphere",
        "regions": {"front": PLANTED},
    }
    surface_files.try_on_surface(
        stack, tmp_path / "base", recipe, where, cohort_of(stack), tmp_path / "work", shared
    )
    return tmp_path / "base"


def test_the_group_is_compared_on_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write(tmp_path, monkeypatch, Balls(), fdr=True, covariates=["age"])
    assert surface_files.code_of_surface(place) == 0
    summary = json.loads((place / "surface" / "summary.json").read_text())
    notes = " ".join(summary["notes"])
    assert "maps lie on the surface of sub-" in notes
    assert "nearest to the mean of age" in notes
    assert "sub-03" in notes
    assert summary["test"]["covariates"] == ["age"]
    mesh = read_whole(place / "surface" / summary["maps"]["log10p_fwe"])
    sidecar = (place / "surface" / summary["maps"]["t"]).name.partition(".")[0] + ".json"
    surface = json.loads((place / "surface" / sidecar).read_text())["Surface"]
    assert (place / "surface" / surface).is_file()
    points = ellipsoid((20, 22, 24), 2).vertices
    toward = points @ [0.6, 0.8, 0] / np.linalg.norm(points, axis=1)
    for name, level in (("log10p_fwe", 1.31), ("log10p_tfce", 1.31), ("log10q_fdr", 1.31)):
        values = read_whole(place / "surface" / summary["maps"][name]).values
        assert (values[toward > 0.9] > level).mean() > 0.8
        assert (values[toward < 0.4] > level).mean() < 0.05
    assert len(mesh.values) == len(points)


def test_a_run_says_why_there_is_nothing_on_a_surface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lost(Balls):
        def home(self, image: Path, channel: str) -> Home | None:
            raise NoInput(f"{image}_mesh.surf.gii is not there; run the participant level")

    left = tmp_path / "base" / "surface" / "group_of-all_statmap.shape.gii"
    left.parent.mkdir(parents=True)
    left.write_text("of an earlier run")
    place = write(tmp_path, monkeypatch, Lost())
    said = capsys.readouterr().err
    assert "base: no maps on a surface: saliency.on_surface: no map on the surface of" in said
    assert "run the participant level" in said
    assert surface_files.code_of_surface(place) == BadData.exit_code
    assert not left.exists()


def test_names_of_maps_without_a_template_have_no_gap(tmp_path: Path) -> None:
    stack = stack_of(4)
    images = dict.fromkeys(units_in(stack.rows), "x")
    where = MapPlace(tmp_path / "a", tmp_path, "", "", images)
    recipe = small_recipe()
    (first, *_) = write_people(stack, where, {"verdict": "pass", "sentences": []}, recipe.saliency)
    assert first.name == "sub-00_desc-gradient_statmap.shape.gii"

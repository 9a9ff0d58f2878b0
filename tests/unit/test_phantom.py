"""The phantom: valid, repeatable, and its answer where it is said to be."""

import csv
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from bidsapp.errors import CannotCreateOutput, NoInput, UsageError
from bidsapp.phantom import (
    ORIENTATIONS,
    RIGHT_INSULA,
    TRUTH,
    Region,
    known_anatomy,
    make_phantom,
    plant_cuboid,
)
from bidsapp.phantom.__main__ import main
from bidsapp.templates.embedded import packaged


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return make_phantom(
        tmp_path_factory.mktemp("phantom"), participants=8, effect=0.3, resolution_mm=3.0
    )


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "participants.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def scan_of(folder: Path, label: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.load(folder / label / "anat" / f"{label}_T1w.nii.gz")


def patients(folder: Path) -> list[str]:
    return [row["participant_id"] for row in rows(folder) if row["chronic_pain"] == "1"]


def sampled(image: nib.Nifti1Image, points: np.ndarray) -> np.ndarray:
    at = nib.affines.apply_affine(np.linalg.inv(image.affine), points)
    return map_coordinates(image.get_fdata(), at.T, order=1)


def box_points(region: Region, step=2.0, shrink=2.0) -> np.ndarray:
    sides = [
        np.arange(-size / 2 + shrink, size / 2 - shrink + 0.1, step) + centre
        for centre, size in zip(region.centre_mm, region.size_mm, strict=True)
    ]
    return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 3)


def brain_points(step: int) -> np.ndarray:
    image = nib.Nifti1Image.load(packaged("t1"))
    indices = np.argwhere(np.asarray(image.dataobj)[::step, ::step, ::step] > 0) * step
    return nib.affines.apply_affine(image.affine, indices)


def test_the_validator_accepts_it(phantom):
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run([validator, phantom], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_pybids_finds_the_scans_and_not_the_truth(phantom):
    from bids import BIDSLayout

    layout = BIDSLayout(phantom)
    assert len(layout.get(suffix="T1w", extension=".nii.gz")) == 8
    assert not [file for file in layout.files if "truth" in file]


def test_groups_are_balanced_and_matched(phantom):
    people = rows(phantom)
    groups = [[row for row in people if row["chronic_pain"] == label] for label in "01"]
    assert [len(group) for group in groups] == [4, 4]
    sexes, ages = zip(
        *(
            (sorted(row["sex"] for row in group), sorted(int(row["age"]) for row in group))
            for group in groups
        ),
        strict=True,
    )
    assert sexes[0] == sexes[1]
    assert np.abs(np.subtract(*ages)).max() <= 2


def test_the_planted_effect_is_where_it_is_said(phantom):
    points = brain_points(4)
    maps = {}
    for row in rows(phantom):
        label = row["participant_id"]
        image = scan_of(phantom, label)
        values = sampled(image, known_anatomy(phantom, label).to_scanner(points))
        maps.setdefault(row["chronic_pain"], []).append(values / np.median(values))
    change = np.mean(maps["1"], axis=0) / np.mean(maps["0"], axis=0) - 1

    away = np.abs(points - RIGHT_INSULA.centre_mm)
    half = np.array(RIGHT_INSULA.size_mm) / 2
    inside, outside = (away < half - 2).all(1), (away > half + 4).any(1)
    # The bias fields of eight people do not average out, hence the margins.
    assert change[inside].mean() == pytest.approx(0.3, abs=0.07)
    assert abs(np.median(change[outside])) < 0.05
    strongest = points[np.argsort(change * inside.size)[-inside.sum() :]]
    assert np.linalg.norm(np.median(strongest, axis=0) - RIGHT_INSULA.centre_mm) < 6


def test_only_patients_carry_the_effect(tmp_path):
    make = {"participants": 2, "resolution_mm": 4.0, "seed": 3}
    none, strong = (
        make_phantom(tmp_path / str(effect), effect=effect, **make) for effect in (0.0, 0.5)
    )
    for row in rows(none):
        label = row["participant_id"]
        same = np.array_equal(*(scan_of(f, label).get_fdata() for f in (none, strong)))
        assert same == (row["chronic_pain"] == "0")


def test_local_volume_grows_by_the_amount_that_is_said(tmp_path):
    make = {"participants": 2, "resolution_mm": 4.0, "seed": 5}
    none, grown = (
        make_phantom(tmp_path / str(effect), volume_effect=effect, **make) for effect in (0.0, 0.5)
    )
    (label,) = patients(none)
    centre = np.array(RIGHT_INSULA.centre_mm)
    # A tetrahedron's volume before and after is the mean of the Jacobian's determinant in it.
    corners = centre + np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]]) - 0.5
    volumes = []
    for folder in (none, grown):
        moved = known_anatomy(folder, label).to_scanner(corners)
        volumes.append(np.linalg.det(moved[1:] - moved[0]))
    assert volumes[1] / volumes[0] == pytest.approx(1.5, rel=0.1)


def test_the_deformation_is_known_both_ways(phantom):
    points = brain_points(6)
    for row in rows(phantom)[:3]:
        anatomy = known_anatomy(phantom, row["participant_id"])
        there = anatomy.to_scanner(points)
        error = np.linalg.norm(anatomy.to_template(there) - points, axis=1)
        assert error.max() < 0.3
        assert error.mean() < 0.05
        # And it is not the identity: beyond any affine some millimetres remain.
        design = np.c_[points, np.ones(len(points))]
        rest = there - design @ np.linalg.lstsq(design, there, rcond=None)[0]
        assert 0.8 < np.sqrt((rest**2).sum(1).mean()) < 5


@pytest.fixture(scope="module")
def orientations(tmp_path_factory):
    return {
        name: make_phantom(
            tmp_path_factory.mktemp(name),
            participants=2,
            resolution_mm=3.0,
            effect=3.0,
            orientations=(name,),
        )
        for name in ORIENTATIONS
    }


def test_orientations_on_the_disk_differ_and_the_world_does_not(orientations):
    reference = scan_of(orientations["RAS"], "sub-01")
    for name in ("RAS", "LAS", "PSR"):
        image = scan_of(orientations[name], "sub-01")
        assert "".join(nib.aff2axcodes(image.affine)) == name
        upright = nib.as_closest_canonical(image)
        np.testing.assert_allclose(upright.affine, reference.affine)
        np.testing.assert_array_equal(upright.get_fdata(), reference.get_fdata())
    oblique = scan_of(orientations["oblique"], "sub-01")
    assert np.rad2deg(nib.affines.obliquity(oblique.affine)).max() > 10
    points = known_anatomy(orientations["RAS"], "sub-01").to_scanner(brain_points(5))
    values = sampled(oblique, points), sampled(reference, points)
    assert np.corrcoef(*values)[0, 1] > 0.97


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_right_stays_right(orientations, name):
    folder = orientations[name]
    (label,) = patients(folder)
    image = scan_of(folder, label)
    hot = np.argwhere(image.get_fdata() > 0.5 * image.get_fdata().max())
    found = nib.affines.apply_affine(image.affine, hot)
    middle = known_anatomy(folder, label).to_scanner(np.array([[0.0, 4.0, 1.0]]))
    assert np.median(found[:, 0]) > middle[0, 0] + 20


def test_a_seed_gives_the_same_bytes_and_another_gives_others(tmp_path):
    def made(name, seed):
        folder = make_phantom(tmp_path / name, participants=2, resolution_mm=4.0, seed=seed)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    first, again, other = made("a", 1), made("b", 1), made("c", 2)
    assert first == again
    scans = [name for name in first if name.endswith(".nii.gz")]
    assert len(scans) == 2
    assert all(first[name] != other[name] for name in scans)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CannotCreateOutput, match="not empty"):
        make_phantom(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "wrong", [{"participants": 1}, {"effect": -1.0}, {"volume_effect": -2}, {"resolution_mm": 9}]
)
def test_values_out_of_range_are_named_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        make_phantom(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_the_command_line(tmp_path, capsys):
    new = tmp_path / "new"
    arguments = ["--participants", "3", "--resolution", "4", "--effect", "0", "--seed", "2"]
    assert main([str(new), *arguments]) == 0
    assert len(rows(new)) == 3
    assert (new / TRUTH).is_file()
    assert main([str(new)]) == 73
    assert "not empty" in capsys.readouterr().err


def test_a_stranger_has_no_known_anatomy(phantom, tmp_path):
    with pytest.raises(NoInput, match="sub-99"):
        known_anatomy(phantom, "sub-99")
    with pytest.raises(NoInput, match=r"truth\.json"):
        known_anatomy(tmp_path, "sub-01")


# Planting into any image


@settings(deadline=None, max_examples=40)
@given(
    zoom=st.floats(0.7, 3),
    flip=st.sampled_from([1, -1]),
    centre=st.tuples(*[st.floats(-8, 8)] * 3),
    size=st.tuples(*[st.floats(2, 20)] * 3),
    contrast=st.floats(-0.9, 2).filter(lambda value: abs(value) > 0.01),
)
def test_what_is_planted_adds_up(zoom, flip, centre, size, contrast):
    count = int(44 / zoom) + 1
    affine = np.diag([flip * zoom, zoom, zoom, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (count - 1) / 2)
    image = np.ones((count,) * 3, dtype=np.float32)
    added = plant_cuboid(image, affine, centre, size, contrast).astype(float) - 1
    assert image.min() == image.max() == 1
    # Partial volumes make the sum that of the cuboid, wherever it lies between the voxels.
    assert added.sum() * zoom**3 == pytest.approx(contrast * np.prod(size), rel=0.01)
    world = nib.affines.apply_affine(affine, np.indices(image.shape).reshape(3, -1).T)
    found = (world * added.reshape(-1, 1)).sum(0) / added.sum()
    np.testing.assert_allclose(found, centre, atol=zoom / 4)


def test_added_to_a_map_around_zero():
    image = np.full((10, 10, 10), -0.5, dtype=np.float32)
    planted = plant_cuboid(image, np.eye(4), (5, 5, 5), (3, 3, 3), 0.2, relative=False)
    assert planted[5, 5, 5] == pytest.approx(-0.3)
    assert (planted != image).sum() == 27


def test_a_cuboid_outside_the_image_is_refused():
    with pytest.raises(UsageError, match="outside"):
        plant_cuboid(np.ones((5, 5, 5)), np.eye(4), (40, 0, 0), (4, 4, 4), 0.2)

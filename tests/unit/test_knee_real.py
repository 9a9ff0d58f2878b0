"""Real knees: what must hold on manual labels of two visits, and on a known right knee."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bidsapp.modalities.knee.anatomy import ANATOMY, BONES
from bidsapp.modalities.knee.correspondence import match_elastically
from bidsapp.modalities.knee.frame import to_frame
from bidsapp.modalities.knee.label_map import LabelMap, label_table, read_label_map
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.right_knee import RIGHT
from bidsapp.modalities.knee.side import asymmetry
from bidsapp.modalities.knee.sphere_map import lay_on_sphere
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.modalities.knee.surface import centre_of
from bidsapp.modalities.knee.thickness import thickness_along_normals
from bidsapp.modalities.knee.whole_knee import Knee, measure_knee, side_of
from tests.benchmarks.knee import bars, measured, moved, told
from tests.unit.test_knee_correspondence import Known


def read(dataset: Path, path: Path) -> LabelMap:
    return read_label_map(path, label_table(path, dataset), BONES)


def oai(data: Path, who: str, visit: str) -> LabelMap:
    dataset = data / "knee_oai_labels"
    (path,) = (dataset / f"sub-{who}" / f"ses-{visit}").rglob("*_dseg.nii.gz")
    return read(dataset, path)


def right_knee(data: Path) -> LabelMap:
    dataset = data / "knee_pymskt" / "derivatives" / "labels"
    return read(dataset, next(dataset.rglob("*_dseg.nii.gz")))


@pytest.fixture(scope="module")
def knee(real_data: Path) -> Knee:
    return measure_knee(oai(real_data, "k05", "00m"), {})


def test_measures_agree_and_maps_keep_them(knee: Knee) -> None:
    assert knee.side == "R"
    for maps in knee.bones.values():
        facts = maps.facts
        thickness, normal = facts["mean_thickness_mm"], facts["mean_thickness_normal_mm"]
        assert thickness == pytest.approx(normal, abs=0.2)
        assert 1.5 < normal < 3
        assert facts["measures_r"] > 0.9
        assert facts["seen_share"] > 0.99
        for channel in ("thickness", "thicknessnormal"):
            values = maps.values[channel]
            image = maps.laid_of(channel).to_map(values)
            back = maps.laid_of(channel).to_surface(image)
            known = np.isfinite(back) & np.isfinite(values)
            assert np.abs(back - values)[known].mean() <= 0.05
            mean = maps.laid_of(channel).mean(image)
            assert mean == pytest.approx(maps.surface.mean(values), rel=0.01)


@pytest.mark.slow
def test_cartilage_is_thinner_at_the_second_visit_and_bone_is_where_it_was(
    real_data: Path, knee: Knee
) -> None:
    table = measured(real_data / "knee_oai_labels", 3)
    summary = told(table)
    for sentence, met in bars(summary[["femur", "tibia"]]):
        assert met, sentence
    assert summary["patella"]["thinner"] >= 2  # the first one's grows, as do its voxels
    assert (summary.loc["apart_mm"].abs() < 0.2).all()
    assert (summary.loc["r"] > 0.85).all()
    assert (summary.loc["bone_moved_most_mm"] < 0.6).all()
    other = measure_knee(oai(real_data, "k04", "00m"), {})
    for name in BONES:  # somebody else's bone lies far further away
        between = moved(knee.bones[name], other.bones[name])["bone_moved_mm"]
        assert between > 2 * summary[name]["bone_moved_most_mm"]


@pytest.mark.slow
def test_a_mirrored_copy_and_another_order_of_axes_of_a_real_knee_give_its_map(
    real_data: Path, knee: Knee
) -> None:
    labels = oai(real_data, "k05", "00m")
    mirror = np.diag([-1.0, 1, 1, 1])
    order = np.zeros((4, 4))
    order[[2, 0, 1, 3], [0, 1, 2, 3]] = 1
    order[2, 0], order[2, 3] = -1, labels.data.shape[2] - 1  # and its first axis runs back
    turned = np.flip(labels.data.transpose(2, 0, 1), 0)
    copies = {
        "L": replace(labels, affine=mirror @ labels.affine),
        "R": replace(labels, data=turned, affine=labels.affine @ order),
    }
    for side, copy in copies.items():
        found = measure_knee(copy, {})
        assert (found.side, found.frame.mirrored) == (side, side == "L")
        for name in BONES:
            for channel, image in knee.bones[name].maps().items():
                np.testing.assert_allclose(found.bones[name].maps()[channel], image, atol=1e-6)


@pytest.mark.parametrize("name", ["femur", "tibia"])
def test_a_known_deformation_of_a_real_bone_is_found(real_data: Path, name: str) -> None:
    labels = oai(real_data, "k05", "00m")
    data, frame = to_frame(labels.data, labels.affine, "R")
    turned = replace(labels, data=data, affine=frame.to_world)
    spacing = np.array(frame.spacing)
    reference, other = (
        mesh_bone(turned.mask(name), spacing, ANATOMY[name], edge).surface for edge in (1.3, 1.5)
    )
    cartilage = turned.mask(*ANATOMY[name].cartilages)
    plate = thickness_along_normals(cartilage, spacing, reference).covered
    known = Known(1, 4.0, centre_of(reference))
    start = time.process_time()
    found = match_elastically(reference, other.moved(known(other.points)), name)
    assert time.process_time() - start < 10
    error = np.linalg.norm(found.points - known(reference.points), axis=1)[plate]
    assert np.median(error) < 1.5


def test_the_side_is_seen(real_data: Path) -> None:
    labels = right_knee(real_data)
    assert side_of(labels, {}, BONES)[0] == "R"  # the fibula and the plates tell
    plain = {name: n for name, n in labels.structures.items() if name in BONES}
    shapes = replace(labels, structures=plain)
    assert side_of(shapes, {}, BONES)[0] == "R"
    other = oai(real_data, "k20", "00m")  # the one least like it of six
    mirror = np.diag([-1.0, 1, 1, 1])
    for affine, side in ((other.affine, "R"), (mirror @ other.affine, "L")):
        found, words, _ = side_of(replace(other, affine=affine), {}, BONES)
        assert found == side
        assert "shapes" in words


def test_a_real_knee_whose_header_mirrors_it_is_doubted_where_its_side_is_told(
    real_data: Path,
) -> None:
    labels = oai(real_data, "k05", "00m")  # one tibial label, no fibula: shapes alone tell
    told = {"participants.tsv": "R"}
    assert side_of(labels, told, BONES) == ("R", "told by participants.tsv", "")
    mirrored = replace(labels, affine=np.diag([-1.0, 1, 1, 1]) @ labels.affine)
    side, _, doubt = side_of(mirrored, told, BONES)
    assert side == "R"
    assert "participants.tsv says R, and the bones' shapes are those of a left knee" in doubt


def test_the_numbers_of_the_right_knee_are_those_of_its_label_map(real_data: Path) -> None:
    labels = right_knee(real_data)
    data, frame = to_frame(labels.data, labels.affine, "R")
    turned = replace(labels, data=data, affine=frame.to_world)
    for name in BONES:
        mesh = mesh_bone(turned.mask(name), np.array(frame.spacing), ANATOMY[name], 2.0)
        laid = lay_on_sphere(mesh.surface, grid_of(ANATOMY[name], 56, 56))
        np.testing.assert_allclose(asymmetry(laid.radius.reshape(56, 56)), RIGHT[name], atol=6e-5)

"""Registration finds a deformation that is known, and finds it again."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from bidsapp.drawing.geometry import from_itk
from bidsapp.modalities.t1w import registration
from bidsapp.modalities.t1w.registration import register
from bidsapp.modalities.t1w.resampling import resample_brain, scale_intensity
from bidsapp.modalities.t1w.speeds import SPEEDS, speed_named
from bidsapp.modalities.t1w.template_images import prepare_template
from bidsapp.modalities.t1w.transform import SpatialMap
from bidsapp.recipes import load_recipe
from bidsapp.templates import resolve_template
from tests.unit.spatial_maps import oblique_affine, through, wavy_map


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> sitk.Image:
    """The embedded template's brain at 2 mm."""
    folder = tmp_path_factory.mktemp("template")
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    images = prepare_template(
        resolve_template("MNI152NLin2009aSym", home=folder),
        load_recipe("attias2025").preparation,
        folder,
    )
    return sitk.ReadImage(str(images["judged"]))


@pytest.fixture(scope="module")
def participant(template: sitk.Image) -> sitk.Image:
    """The template as a participant whose map to it is known: rotated, 10 % larger, and wavy."""
    spatial = wavy_map()
    inverse = SpatialMap(np.linalg.inv(oblique_affine()), spatial.inverse_field()[0])
    field = sitk.DisplacementFieldTransform(sitk.Cast(inverse.field, sitk.sitkVectorFloat64))
    joined: Any = SpatialMap(inverse.affine, spatial.field).forward()
    affine = joined.GetNthTransform(0)
    back = sitk.CompositeTransform([field, affine])
    wide = sitk.Image(110, 130, 110, sitk.sitkFloat32)
    wide.SetSpacing((2, 2, 2))
    wide.SetOrigin((-110, -110, -100))
    return sitk.Resample(template, wide, back, sitk.sitkLinear, 0.0)


def brain_points(template: sitk.Image, count: int = 300) -> np.ndarray:
    """Points inside the template's brain, RAS mm."""
    data, affine = from_itk(template)
    inside = np.argwhere(data > 0.3 * data.max())
    chosen = inside[np.random.default_rng(0).choice(len(inside), count, replace=False)]
    return chosen @ affine[:3, :3].T + affine[:3, 3]


def test_a_known_map_is_found(template: sitk.Image, participant: sitk.Image) -> None:
    points = brain_points(template)
    expected = through(wavy_map().forward(), points)
    found = register(template, participant, speed_named("default"))
    affine_alone = points @ found.affine[:3, :3].T + found.affine[:3, 3]
    before, after = (
        np.linalg.norm(place - expected, axis=1)
        for place in (affine_alone, through(found.forward(), points))
    )
    # within white matter nothing tells one point from the next: hence a median
    assert np.median(after) < 1.5
    assert np.median(after) < np.median(before) / 4


def test_the_same_seed_gives_the_same_bits(
    template: sitk.Image,
    participant: sitk.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    one = register(template, participant, speed_named("fast"), seed=3)
    (tmp_path / "a folder").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a folder"))
    other = register(template, participant, speed_named("fast"), seed=3)
    np.testing.assert_array_equal(one.affine, other.affine)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(one.field), sitk.GetArrayFromImage(other.field)
    )
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_field_found_at_1_mm_is_kept_at_2_mm_and_still_says_the_same(
    template: sitk.Image, participant: sitk.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = [2 * n for n in template.GetSize()]
    fine = sitk.Resample(
        template, size, sitk.Transform(), sitk.sitkLinear, template.GetOrigin(), (1.0, 1.0, 1.0),
        template.GetDirection(), 0.0, template.GetPixelID(),
    )  # fmt: skip
    speed = replace(
        speed_named("precise"),
        affine_iterations="40x20x0x0",
        deformable_iterations="40x20x10x0",
    )
    kept = register(fine, participant, speed)
    assert kept.field.GetSpacing() == (2.0, 2.0, 2.0)
    monkeypatch.setattr(registration, "_FIELD_MM", 1)
    found = register(fine, participant, speed)
    assert found.field.GetSpacing() == (1.0, 1.0, 1.0)
    points = brain_points(template)
    apart = through(kept.forward(), points) - through(found.forward(), points)
    assert np.linalg.norm(apart, axis=1).mean() < 0.1


def test_a_brain_comes_to_the_template_in_one_resampling(
    template: sitk.Image, participant: sitk.Image
) -> None:
    mask = sitk.Cast(participant > 0, sitk.sitkUInt8)
    image, inside = resample_brain(participant, mask, wavy_map(), template)
    expected, _ = from_itk(template)
    assert not image[~inside].any()
    assert image.max() <= expected.max()
    both = inside & (expected > 0)
    assert np.corrcoef(image[both], expected[both])[0, 1] > 0.97


def test_scaling_fills_the_range_and_keeps_the_order() -> None:
    image = np.random.default_rng(0).gamma(2, 100, (5, 6, 7)).astype(np.float32)
    scaled = scale_intensity(image, "minmax")
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (0, 1)
    np.testing.assert_array_equal(np.argsort(scaled, axis=None), np.argsort(image, axis=None))
    np.testing.assert_array_equal(scale_intensity(image, "none"), image)


def test_every_speed_of_the_command_line_is_known() -> None:
    from bidsapp.errors import UsageError
    from bidsapp.options import SPEEDS as OFFERED

    assert set(SPEEDS) == set(OFFERED)
    with pytest.raises(UsageError, match="choose one of fast"):
        speed_named("slow")

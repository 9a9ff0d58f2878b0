"""Maps on a participant's own voxels, and back again: no worse than interpolation itself."""

import json
import random
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import Unit
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.drawing.geometry import reference_image
from bidsapp.errors import BadData, NoInput
from bidsapp.modalities.t1w.modality import MODALITY as T1W
from bidsapp.modalities.t1w.transform import SpatialMap
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.native import NativeSpace, carry, without_native
from bidsapp.saliency.participant_maps import MapPlace, native_content, write_map, write_people
from tests.unit.saliency_stacks import AFFINE, SHAPE, make_stack, rows_of
from tests.unit.spatial_maps import field_image, oblique_affine, waves

TEMPLATE = np.array([[2.0, 0, 0, -78], [0, 2, 0, -92], [0, 0, 2, -70], [0, 0, 0, 1]])
GRID = (79, 93, 71)
# an oblique grid of .9 x 1.2 x 1 mm, stored from right to left
C, S = np.cos(0.1), np.sin(0.1)
NATIVE = np.array([[-0.9, 0, 0, 101], [0, 1.2 * C, S, -130], [0, -1.2 * S, C, -92], [0, 0, 0, 1]])
OWN = (224, 216, 184)


def map_of(seed: int = 0) -> np.ndarray:
    """A signed map, smooth over 6 mm, that fades out towards the edges."""
    noise = np.random.default_rng(seed).standard_normal(GRID)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in GRID), indexing="ij")
    return gaussian_filter(noise, 6 / 2.3548 / 2) * np.clip(1 - (x**2 + y**2 + z**2), 0, None)


@pytest.fixture(scope="module")
def spatial() -> SpatialMap:
    return SpatialMap(oblique_affine(), field_image(waves))


def own_space(normalised: Path) -> NativeSpace:
    """The scan's own space of a normalised image, by the files that the modality names."""
    return NativeSpace(T1W.way_back(normalised))


def off(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the difference, as a share of that of the first."""
    return float(np.sqrt(((one - other) ** 2).mean() / (one**2).mean()))


def test_a_transform_that_was_damaged_since_is_refused(spatial, tmp_path):
    """HDF5 has no checksum of its own for most of its bytes; the sidecar has one of all."""
    stem = tmp_path / "sub-01_from-T_to-T1w_mode-image_xfm"
    spatial.write_inverse(stem.with_suffix(".h5"), spatial.inverse_field()[0])
    nib.save(
        nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), NATIVE),
        tmp_path / "sub-01_desc-brain_mask.nii.gz",
    )
    image = tmp_path / "sub-01_space-T_res-2_desc-preproc_T1w.nii.gz"
    told = {"SHA256": file_sha256(stem.with_suffix(".h5"))}
    stem.with_suffix(".json").write_text(json.dumps(told))
    own_space(image)
    content = stem.with_suffix(".h5").read_bytes()
    draw = random.Random(0)
    for _ in range(20):
        flipped = bytearray(content)
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        stem.with_suffix(".h5").write_bytes(flipped)
        with pytest.raises(BadData, match=r"xfm\.h5 is not what was written"):
            own_space(image)


def test_there_and_back_costs_no_more_than_interpolation(spatial, tmp_path):
    spatial.write_forward(tmp_path / "forward.h5")
    spatial.write_inverse(tmp_path / "inverse.h5", spatial.inverse_field()[0])
    forward, inverse = (
        sitk.ReadTransform(str(tmp_path / f"{name}.h5")) for name in ("forward", "inverse")
    )
    volume = map_of()
    own, standard = reference_image(OWN, NATIVE), reference_image(GRID, TEMPLATE)
    there = carry(volume, TEMPLATE, own, inverse)
    back = carry(there, NATIVE, standard, forward)
    # the same two interpolations without any transform but half a voxel, the worst case
    half = sitk.TranslationTransform(3, (1.0, 1.0, 1.0))
    shifted = carry(volume, TEMPLATE, standard, half)
    plain = carry(shifted, TEMPLATE, standard, half.GetInverse())
    inner = (slice(15, -15),) * 3
    assert off(volume[inner], back[inner]) < off(volume[inner], plain[inner])
    assert np.corrcoef(volume[inner].ravel(), back[inner].ravel())[0, 1] > 0.99
    assert back[inner].min() < 0 < back[inner].max()


def test_a_map_lands_where_the_transform_says(spatial, tmp_path):
    volume = np.zeros(GRID, np.float32)
    volume[30:33, 50:53, 40:43] = 1
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    path = folder / "sub-01_acq-x_space-T_res-2_desc-preproc_T1w.nii.gz"
    spatial.write_inverse(
        folder / "sub-01_acq-x_from-T_to-T1w_mode-image_xfm.h5", spatial.inverse_field()[0]
    )
    mask = nib.Nifti1Image(np.zeros(OWN, np.uint8), NATIVE)
    nib.save(mask, folder / "sub-01_acq-x_desc-brain_mask.nii.gz")
    space = own_space(path)
    found = space.of(volume, TEMPLATE)
    assert found.shape == OWN
    assert np.allclose(space.affine, NATIVE, atol=1e-4)
    weight = found / found.sum()
    centre = [float((weight * index).sum()) for index in np.indices(OWN)]
    landed = (NATIVE @ (*centre, 1))[:3]
    start = (TEMPLATE @ (31, 51, 41, 1))[:3]
    expected = oblique_affine() @ np.append(start + waves(start[None])[0], 1)
    assert np.linalg.norm(landed - expected[:3]) < 0.5


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(NoInput, match=r"sub-01_from-T_to-T1w_mode-image_xfm\.h5 is not there; run"):
        own_space(tmp_path / "sub-01_space-T_res-2_desc-preproc_T1w.nii.gz")


def test_where_no_transform_is_ever_written_nobody_is_sent_to_the_participant_level(tmp_path: Path):
    series = tmp_path / "sub-01_task-rest_space-T_res-3_desc-denoised_bold.nii.gz"
    with pytest.raises(NoInput, match=r"no transform back to the scan is written .*leave the opt"):
        NativeSpace(modality_named("bold").way_back(series))
    assert T1W.way_back(series) is None


@pytest.mark.parametrize(
    ("source", "expected"), [((1, 1), (1, 1)), ((2, 0), (2, 0)), ((0, 0), (1, 1))]
)
def test_a_map_on_the_scans_voxels_is_not_called_one_of_the_template(tmp_path, source, expected):
    stem = tmp_path / "sub-01"
    still = sitk.TranslationTransform(3)
    sitk.WriteTransform(still, str(tmp_path / "sub-01_from-T_to-T1w_mode-image_xfm.h5"))
    mask = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.diag([1.0, 1, 2, 1]))
    for put, code in zip((mask.set_sform, mask.set_qform), source, strict=True):
        put(mask.affine, code=code)
    nib.save(mask, f"{stem}_desc-brain_mask.nii.gz")
    space = own_space(tmp_path / "sub-01_space-T_res-2_desc-preproc_T1w.nii.gz")
    standard = {
        "Space": "T",
        "Window": {"Start": [0, 0, 3]},
        "Sources": [],
        "Description": "A map.",
    }
    told = native_content(standard, space, tmp_path)
    path = tmp_path / "sub-01_desc-gradient_statmap.nii.gz"
    write_map(path, np.ones((4, 5, 6)), space.affine, told, space.codes)
    header = nib.Nifti1Image.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == expected
    said = json.loads((tmp_path / "sub-01_desc-gradient_statmap.json").read_text())
    assert not {"Space", "Window"} & set(said)


def test_who_lacks_a_map_on_their_own_voxels_is_known(tmp_path: Path):
    rows = rows_of(n=2, folds=1).assign(session_id=["", "ses-1"])
    stems = ("sub-00/anat/sub-00", "sub-01/ses-1/anat/sub-01_ses-1")
    images = {
        Unit(who, session): f"{stem}_space-T_res-2_desc-preproc_T1w.nii.gz"
        for who, session, stem in zip(("sub-00", "sub-01"), ("", "ses-1"), stems, strict=True)
    }
    for stem in stems:
        (tmp_path / stem).parent.mkdir(parents=True)
        mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
        nib.save(mask, tmp_path / f"{stem}_desc-brain_mask.nii.gz")
        transform = tmp_path / f"{stem}_from-T_to-T1w_mode-image_xfm.h5"
        sitk.WriteTransform(sitk.AffineTransform(3), str(transform))
    place = MapPlace(
        tmp_path / "maps", tmp_path, "T", 2, images, native=True, way_back=T1W.way_back
    )
    said = ({"verdict": "pass", "sentences": []}, Saliency())
    write_people(make_stack(rows), place, *said)
    assert without_native(tmp_path / "maps") == []
    transform.unlink()
    written = write_people(make_stack(rows), place, *said)
    assert without_native(tmp_path / "maps") == [written[1]]

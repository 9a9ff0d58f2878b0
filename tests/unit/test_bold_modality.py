"""BOLD as a modality: files, measures, what comes first, what is refused, one raw person whole."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.product import OutputNames, sidecar_name
from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.derivatives import prepare_output
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.anatomy import anatomy_of
from bidsapp.modalities.bold.confounds import steady_volumes
from bidsapp.modalities.bold.coregister import mutual_information
from bidsapp.modalities.bold.files import (
    metadata_of,
    write_map,
    write_rigid,
    write_series,
)
from bidsapp.modalities.bold.page import _correlations, carpet, laid_out
from bidsapp.modalities.bold.quality import brain_dice, ghosting, tsnr
from bidsapp.modalities.bold.resampling import resample
from bidsapp.modalities.bold.settings import BoldPreparation
from bidsapp.modalities.bold.strategies import STRATEGIES
from bidsapp.recipes.loading import load_recipe
from tests.integration.running import validation_errors

AFFINE = np.array([[2.0, 0, 0, -10], [0, 2, 0, -12], [0, 0, 2, -8], [0, 0, 0, 1]])


def _mask() -> np.ndarray:
    grid = np.indices((12, 14, 10)).astype(float)
    centre = np.array([5.5, 6.5, 4.5]).reshape(3, 1, 1, 1)
    return ((grid - centre) ** 2).sum(axis=0) < 18


def test_a_series_is_kept_to_a_fraction_of_its_noise_in_two_bytes(tmp_path: Path) -> None:
    mask = _mask()
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((30, int(mask.sum()))).astype("f4")
    series = 800 + 5 * noise
    path = tmp_path / "series.nii.gz"
    write_series(path, series, mask, AFFINE, 2.5)
    values, affine = read_numbers(path)
    assert (affine == AFFINE).all()
    image = nib.Nifti1Image.from_filename(path)
    assert image.get_data_dtype() == np.int16
    assert float(image.header["pixdim"][4]) == 2.5
    assert not values[~mask].any()
    lost = values[mask].T - series
    assert np.abs(lost).max() <= 0.26  # half a step
    assert (values[mask].T.std(axis=0) / series.std(axis=0)).mean() == pytest.approx(1, abs=0.002)
    before = path.read_bytes()
    write_series(path, series, mask, AFFINE, 2.5)
    assert path.read_bytes() == before


def test_a_series_with_a_spike_still_fits_two_bytes(tmp_path: Path) -> None:
    mask = _mask()
    series = np.random.default_rng(0).standard_normal((30, int(mask.sum()))).astype("f4")
    series[3, 4] = 1e6
    write_series(tmp_path / "s.nii.gz", series, mask, AFFINE, 2.0)
    values = read_numbers(tmp_path / "s.nii.gz")[0][mask].T
    assert values[3, 4] == pytest.approx(1e6, rel=1e-3)


def test_a_series_is_written_without_a_second_one_in_memory(tmp_path: Path) -> None:
    mask = np.zeros((40, 40, 40), bool)
    mask[10:30, 10:30, 10:30] = True  # an eighth: the whole volumes are four times the series
    series = np.random.default_rng(0).standard_normal((16, int(mask.sum()))).astype("f4")
    tracemalloc.start()
    write_series(tmp_path / "s.nii.gz", series, mask, AFFINE, 2.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * series.nbytes
    found = read_numbers(tmp_path / "s.nii.gz")[0][mask].T
    assert found == pytest.approx(series, abs=0.06)


def test_the_rigid_transform_is_itks(tmp_path: Path) -> None:
    import SimpleITK as sitk
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [0.1, -0.2, 0.05]).as_matrix()
    matrix[:3, 3] = [3, -4, 5]
    write_rigid(tmp_path / "x.h5", matrix)
    point = np.array([10.0, 20, -30])
    moved = sitk.ReadTransform(str(tmp_path / "x.h5")).TransformPoint((-10.0, -20.0, -30.0))
    assert np.array(moved) * [-1, -1, 1] == pytest.approx((matrix @ [*point, 1])[:3])
    # equal transforms are equal files, whenever and wherever they are written
    written = (tmp_path / "x.h5").read_bytes()
    write_rigid(tmp_path / "y.h5", matrix)
    assert (tmp_path / "y.h5").read_bytes() == written
    assert os.uname().version.encode() not in written


def test_a_volume_is_resampled_where_the_head_was_and_nowhere_else() -> None:
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter, map_coordinates

    volume = gaussian_filter(rng.standard_normal((14, 15, 12)), 1.5).astype("f4")
    data = np.stack([volume, np.roll(volume, 1, axis=0)], axis=-1)
    affine = np.diag([3.0, 3, 4, 1])
    matrices = np.tile(np.eye(4), (2, 1, 1))
    matrices[1, 0, 3] = 3.0  # in the second volume the head lies one voxel farther
    points = rng.uniform([6, 6, 6], [30, 36, 36], (60, 3))
    points[:5] += 500
    found = resample(data, affine, matrices, points)
    exact = map_coordinates(volume, (points[5:] / [3, 3, 4]).T, order=3, mode="mirror")
    assert found.series[:, 5:] == pytest.approx(np.array([exact, exact]), abs=1e-3)
    assert found.covered.tolist() == [False] * 5 + [True] * 55
    assert not found.series[:, :5].any()


def test_measures_have_known_values() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal(20000), rng.standard_normal(20000)
    assert mutual_information(one, np.exp(one)) == pytest.approx(2, abs=1e-6)
    assert mutual_information(one, two) < 1.02
    series = 100 + np.linspace(0, 50, 80)[:, None] + 2 * rng.standard_normal((80, 300))
    assert np.median(tsnr(series)) == pytest.approx(125 / 2, rel=0.05)
    mean, every = np.r_[np.full(90, 100.0), np.full(10, 5.0)], np.ones(100, bool)
    assert brain_dice(mean, every, every) == pytest.approx(2 * 90 / 190)
    assert brain_dice(mean, mean > 50, every) == 1
    assert brain_dice(mean, every, mean > 50) == 1
    mask = np.zeros((20, 40, 10), bool)
    mask[6:14, 14:26, 2:8] = True
    volume = np.where(mask, 100.0, 1.0)
    assert ghosting(volume, mask, (1, 1)) == pytest.approx(0, abs=1e-6)
    volume += 8.0 * (np.roll(mask, 20, axis=1) & ~mask)
    assert ghosting(volume, mask, (1, 1)) == pytest.approx(0.08, rel=0.2)
    assert ghosting(volume, mask, None) is None
    assert ghosting(volume, np.ones_like(mask), (1, 1)) is None


def test_what_refuses_a_series_loads_no_torch() -> None:
    """It runs in the process that hands out the work: torch would be there once more."""
    code = "import sys, bidsapp.modalities.bold.run_checks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_carpet_shows_moments_as_columns() -> None:
    rng = np.random.default_rng(0)
    series = rng.standard_normal((2000, 60))
    series[:, 30] += 6
    series[5] = 0
    drawn = carpet(series.T, np.arange(len(series)))
    assert drawn.shape == (300, 60)
    assert drawn[:, 30].mean() > 240
    assert 100 < drawn[:, 29].mean() < 150


def test_volumes_that_are_left_out_are_white_columns_of_a_carpet() -> None:
    kept = np.array([False, True, True, False, True])
    found = laid_out(np.full((4, 3), 9, np.uint8), kept)
    assert found[0].tolist() == [255, 9, 9, 255, 9]


def test_what_is_before_steady_state_is_not_compared_with_motion() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((60, 2)), columns=["trans_x", "global_signal"])
    table["std_dvars"] = np.r_[np.nan, rng.standard_normal(59)]
    table.loc[:1, "non_steady_state_outlier00"] = [1.0, 0.0]
    table.loc[:1, "non_steady_state_outlier01"] = [0.0, 1.0]
    table = table.fillna({c: 0.0 for c in map(str, table) if c.startswith("non_")})
    table.loc[:1, "global_signal"] += 100  # an image that fades, while the head moves
    table.loc[:1, "trans_x"] += 5
    assert steady_volumes(table).nonzero()[0].tolist() == list(range(2, 60))
    assert steady_volumes(table, changes=True).nonzero()[0].tolist() == list(range(3, 60))
    found = _correlations(table)
    assert found["names"] == ["shift left–right", "DVARS", "global signal"]
    assert all(abs(r) < 0.4 for r, _, _ in found["largest"])
    assert found["cells"][0][0][1:] == ("#fff", "+1.00")


def _scan(folder: Path) -> Scan:
    def file(datatype: str, name: str, **entities: str) -> SourceFile:
        relative = f"sub-01/{datatype}/{name}"
        return SourceFile(folder / relative, relative, {"subject": "01", **entities})

    return Scan(
        "01",
        None,
        {
            "bold": (file("func", "sub-01_task-rest_bold.nii.gz", task="rest"),),
            "t1w": (file("anat", "sub-01_T1w.nii.gz"),),
        },
    )


def _job(folder: Path) -> Job:
    modality = modality_named("bold")
    labels = {"space": "MNI152NLin2009aSym", "res": "2"}
    names = OutputNames(
        folder / "out", {"subject": "01", "task": "rest"}, labels, modality.products_for({}), "func"
    )
    return Job("bold", _scan(folder), "", names, Provenance({}, "", {}))


def test_the_persons_own_t1w_image_is_prepared_first(tmp_path: Path) -> None:
    modality = modality_named("bold")
    settings = BoldPreparation(template="MNI152NLin6Asym", resolution=4, seed=3)
    (asked,) = modality.first(_scan(tmp_path), settings)
    assert asked.modality == "t1w"
    assert [file.path.name for file in asked.scan.files["t1w"]] == ["sub-01_T1w.nii.gz"]
    assert asked.settings.template == "MNI152NLin6Asym"
    assert (asked.settings.resolution, asked.settings.seed) == (2, 3)


def test_a_normalisation_that_is_not_there_or_failed_is_told(tmp_path: Path) -> None:
    job = _job(tmp_path)
    with pytest.raises(NoInput, match=r"sub-01_T1w.nii.gz: its normalisation is not in the output"):
        anatomy_of(job)
    folder = tmp_path / "out" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    space = "space-MNI152NLin2009aSym"
    for tail in (
        "desc-brain_mask.nii.gz",
        f"{space}_res-2_desc-preproc_T1w.nii.gz",
        f"{space}_res-2_desc-brain_mask.nii.gz",
        "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5",
    ):
        (folder / f"sub-01_{tail}").write_bytes(b"x")
    sidecar = folder / f"sub-01_{space}_res-2_desc-preproc_T1w.json"
    quality: dict[str, Any] = {"verdict": "pass", "reasons": []}
    sidecar.write_text(json.dumps({"Quality": quality}))
    assert anatomy_of(job).transform.name.endswith("_xfm.h5")
    quality |= {"verdict": "fail", "reasons": ["NCC is low."]}
    sidecar.write_text(json.dumps({"Quality": quality}))
    with pytest.raises(BadData, match=r"its normalisation failed \(NCC is low\.\)"):
        anatomy_of(job)


def test_metadata_come_by_inheritance_the_nearest_file_wins(tmp_path: Path) -> None:
    scan = _scan(tmp_path)
    (tmp_path / "sub-01" / "func").mkdir(parents=True)
    (tmp_path / "task-rest_bold.json").write_text('{"RepetitionTime": 3, "EchoTime": 0.03}')
    beside = tmp_path / "sub-01" / "func" / "sub-01_task-rest_bold.json"
    beside.write_text('{"RepetitionTime": 2}')
    (tmp_path / "task-other_bold.json").write_text('{"EchoTime": 9}')
    assert metadata_of(scan) == {"RepetitionTime": 2, "EchoTime": 0.03}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"band_pass_hz": [0.09, 0.008]}, "no band"),
        ({"band_pass_hz": [-1, 0.1]}, "no band"),
        ({"confounds": "aroma"}, "confounds"),
        ({"confounds": ["conn"]}, "confounds"),
        ({"resolution": 1}, "resolution"),
        ({"smoothing_fwhm_mm": -1}, "smoothing_fwhm_mm"),
        ({"template": "OASIS"}, "box"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    from bidsapp.recipes.schema import Recipe

    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(
            {
                "name": "x",
                "summary": "x",
                "preparation": {"modality": "bold", **values},
                "representation": {"kind": "volume", "channels": ["bold"]},
                "network": {"name": "resnet", "depth": 10, "start": "random"},
            }
        )


def test_a_strategy_that_is_none_is_answered_by_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"preparation\.confounds: should be 'conn', ") as caught:
        load_recipe("teh2022", ("preparation.confounds=foo",))
    assert [name for name in STRATEGIES if f"'{name}'" not in str(caught.value)] == []
    for name in STRATEGIES:
        assert BoldPreparation.model_validate({"confounds": name}).confounds == name


def test_every_file_of_a_series_passes_the_validator(tmp_path: Path) -> None:
    settings = BoldPreparation(runs="join").model_dump(mode="json")
    products = modality_named("bold").products_for(settings)
    out, raw = tmp_path / "out", tmp_path / "bids"
    raw.mkdir()
    prepare_output(out, raw)
    labels = {"space": "MNI152NLin2009aSym", "res": "4"}
    names = OutputNames(out, {"subject": "01", "task": "rest"}, labels, products, "func")
    names.folder.mkdir(parents=True)
    told = {"TaskName": "rest", "RepetitionTime": 2.0, "SkullStripped": True, "Type": "Brain"}
    told |= {"Sources": ["bids:raw:x"], "SpatialReference": "https://x.org", "Resolution": "4 mm"}
    for product in products:
        path = names.path(product.key)
        (path.parent / sidecar_name(path.name)).write_text(json.dumps(told))
        if path.name.endswith(".nii.gz"):
            volumes = (4,) if "bold" in path.name and "boldref" not in path.name else ()
            image = nib.Nifti1Image(np.ones((4, 4, 4, *volumes), np.int16), np.eye(4))
            image.header.set_xyzt_units("mm", "sec")
            if volumes:
                image.header["pixdim"][4] = 2.0
            image.to_filename(path)
        else:
            path.write_text("trans_x\n0.1\n" if path.suffix == ".tsv" else "x")
    assert validation_errors(out) == (0, [])


def test_a_map_of_truths_is_a_mask(tmp_path: Path) -> None:
    mask = _mask()
    values = np.arange(mask.sum()) % 2 == 0
    write_map(tmp_path / "m.nii.gz", values, mask, AFFINE)
    image = nib.Nifti1Image.from_filename(tmp_path / "m.nii.gz")
    assert image.get_data_dtype() == np.uint8
    assert (np.asarray(image.dataobj)[mask] == values).all()

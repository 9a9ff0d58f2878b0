import json
import logging
import multiprocessing
import os

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.execution.compute import threads
from bidsapp.recipes.images import Representation
from bidsapp.representation.cohort_array import CohortArray, build_cohort_array
from bidsapp.representation.device import steady
from bidsapp.representation.device_cohort import DeviceCohort
from bidsapp.representation.image_rows import ImageRows
from bidsapp.spaces.volume import PLANES, Volume, slab, volume
from tests.unit.synthetic_cohort import AFFINE, write_cohort

SPM12 = np.array([[2, 0, 0, -78], [0, 2, 0, -112], [0, 0, 2, -70], [0, 0, 0, 1.0]])
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("plane", "shape"),
    [("axial", (79, 95, 30)), ("coronal", (79, 30, 79)), ("sagittal", (30, 95, 79))],
)
def test_slabs_of_the_study(plane, shape):
    window = slab((79, 95, 79), SPM12, plane, 30)
    assert window.shape == shape
    axis = PLANES[plane]
    before = window.start[axis]
    after = (79, 95, 79)[axis] - before - 30
    assert after - before in (0, 1)


@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.sampled_from(sorted(PLANES)),
    st.tuples(*[st.integers(0, 5)] * 3),
    st.data(),
)
def test_a_window_knows_its_place(grid, plane, extra, data):
    affine = np.array([[2, 0, 0, -7], [0, 3, 0, 5], [0, 0, 1, 1], [0, 0, 0, 1.0]])
    slices = data.draw(st.integers(1, grid[PLANES[plane]]))
    padded = tuple(a + b for a, b in zip(grid, extra, strict=True))
    full = np.random.default_rng(0).random((2, *grid)) + 1
    for window in (slab(grid, affine, plane, slices), volume(grid, affine, padded)):
        block = window.cut(full)
        assert block.shape == (2, *window.shape)
        back = window.put_back(block)
        kept = back != 0
        np.testing.assert_array_equal(back[kept], full[kept])
        assert kept.sum() == (block != 0).sum()
        # A voxel of the window lies where its affine says, in millimetres.
        inside = np.argwhere(block[0] != 0)[-1]
        place = window.affine @ [*inside, 1]
        index = np.linalg.solve(affine, place)[:3].round().astype(int)
        assert full[(0, *index)] == block[(0, *inside)]
        assert Volume.from_dict(json.loads(json.dumps(window.to_dict()))) == window
    whole = volume(grid, affine, padded)
    np.testing.assert_array_equal(whole.put_back(whole.cut(full)), full)


def test_windows_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match=r"representation.slices: 80 axial .* has 79"):
        slab((79, 95, 79), SPM12, "axial", 80)
    with pytest.raises(UsageError, match=r"representation.pad: .* smaller"):
        volume((79, 95, 79), SPM12, (80, 90, 80))
    with pytest.raises(BadData, match="RAS"):
        slab((79, 95, 79), np.diag([-2.0, 2, 2, 1]), "axial", 30)


def section(**values):
    return Representation(**({"slices": 12} | values))


def test_the_array_holds_what_the_images_hold(tmp_path):
    rows, _ = write_cohort(tmp_path, n=5)
    array = build_cohort_array(rows, section(plane="coronal"), tmp_path / "arrays")
    data = array.open()
    assert data.dtype == np.float16
    assert not data.flags.writeable
    assert data.shape == (5, 1, 20, 12, 20) == array.shape
    image = np.asarray(nib.Nifti1Image.load(rows[3].images["t1w"]).dataobj)
    np.testing.assert_array_equal(data[3, 0], image[:, 6:18].astype(np.float16))
    assert list(array.rows_of(["sub-03", "sub-01"])) == [1, 3]
    with pytest.raises(BadData, match="sub-77"):
        array.rows_of(["sub-77"])


def test_the_log_jacobian_is_masked_by_the_template(tmp_path):
    rows, _ = write_cohort(tmp_path, n=3)
    mask = np.zeros((20, 24, 20), np.uint8)
    mask[4:16, 4:20, 4:16] = 1
    nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    channels = section(channels=("t1w", "log_jacobian"))
    with pytest.raises(UsageError, match="log_jacobian needs the template's brain mask"):
        build_cohort_array(rows, channels, tmp_path / "arrays")
    array = build_cohort_array(rows, channels, tmp_path / "arrays", tmp_path / "mask.nii.gz")
    data, inside = array.open(), mask[:, :, 4:16] > 0
    jacobian = np.asarray(nib.Nifti1Image.load(rows[1].images["log_jacobian"]).dataobj)[:, :, 4:16]
    np.testing.assert_array_equal(data[1, 1], np.where(inside, jacobian, 0).astype(np.float16))
    assert (data[:, 0][:, ~inside] != 0).mean() > 0.99


def test_the_array_is_built_once_and_anew_when_an_image_changes(tmp_path):
    rows, _ = write_cohort(tmp_path, n=4)
    first = build_cohort_array(rows, section(), tmp_path / "arrays")
    stamp = first.path.stat().st_mtime_ns
    assert build_cohort_array(rows, section(), tmp_path / "arrays") == first
    assert first.path.stat().st_mtime_ns == stamp
    other = build_cohort_array(rows, section(plane="sagittal"), tmp_path / "arrays")
    assert other.key != first.key
    image = nib.Nifti1Image.load(rows[2].images["t1w"])
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * 0.9, AFFINE), rows[2].images["t1w"])
    assert build_cohort_array(rows, section(), tmp_path / "arrays").key != first.key


def test_many_processes_may_build_the_same_array(tmp_path):
    rows, _ = write_cohort(tmp_path, n=6)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        job = (rows, section(), tmp_path / "arrays")
        arrays = pool.starmap(build_cohort_array, [job] * 8)
        pool.close()
        pool.join()
    assert len(set(arrays)) == 1
    assert len(list((tmp_path / "arrays").iterdir())) == 2
    alone = build_cohort_array(rows, section(), tmp_path / "alone")
    assert arrays[0].path.read_bytes() == alone.path.read_bytes()


def spoil(rows, volume=None, affine=AFFINE):
    path = rows[2].images["t1w"]
    values = np.asarray(nib.Nifti1Image.load(path).dataobj) if volume is None else volume
    nib.save(nib.Nifti1Image(values.astype(np.float32), affine), path)


@pytest.mark.parametrize(
    ("volume", "affine", "message"),
    [
        (np.full((20, 24, 20), np.nan), AFFINE, "NaN or infinite"),
        (np.full((20, 24, 20), 1e6), AFFINE, "beyond ±65504"),
        (np.ones((20, 24, 22)), AFFINE, "lies on a grid of"),
        (None, AFFINE + np.eye(4)[:, ::-1] * 0.5, "another place|RAS"),
        (np.ones((20, 24, 20, 2)), AFFINE, "expected one 3D volume"),
    ],
)
def test_images_that_cannot_serve_are_named(tmp_path, volume, affine, message):
    rows, _ = write_cohort(tmp_path, n=4)
    spoil(rows, volume, affine)
    with pytest.raises(BadData, match=message):
        build_cohort_array(rows, section(), tmp_path / "arrays")
    assert not list((tmp_path / "arrays").glob("*.json"))


def test_missing_cut_and_damaged_files_are_named(tmp_path):
    rows, _ = write_cohort(tmp_path, n=4)
    path = rows[1].images["t1w"]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match=r"sub-01_t1w.nii.gz is damaged or cut short"):
        build_cohort_array(rows, section(), tmp_path / "arrays")
    path.unlink()
    with pytest.raises(NoInput, match="sub-01 : no t1w image"):
        build_cohort_array(rows, section(), tmp_path / "arrays")
    path.write_bytes(content)
    array = build_cohort_array(rows, section(), tmp_path / "arrays")
    array.path.write_bytes(array.path.read_bytes()[:-100])
    with pytest.raises(BadData, match="run again, and both are made anew"):
        CohortArray.load(array.path)
    assert build_cohort_array(rows, section(), tmp_path / "arrays").open().shape == array.shape
    with pytest.raises(NoInput):
        CohortArray.load(tmp_path / "nowhere.npy")


def test_streamed_batches_equal_resident_ones(caplog, monkeypatch):
    array = np.random.default_rng(2).random((20, 1, 6, 7, 8)).astype(np.float16)
    order = np.array_split(np.random.default_rng(3).permutation(20), 7)
    resident = DeviceCohort(ImageRows(array), CPU)
    assert resident.resident is not None
    with caplog.at_level(logging.WARNING):
        streamed = DeviceCohort(ImageRows(array), CPU, budget_bytes=1000)
    assert streamed.resident is None
    assert "streaming it in chunks" in caplog.text
    for chunk in (1, 3 * array[0].nbytes, 2**20):
        monkeypatch.setattr("bidsapp.representation.device_cohort.STREAM_BYTES", chunk)
        both = list(zip(resident.batches(order), streamed.batches(order), strict=True))
        assert len(both) == 7
        assert all(torch.equal(a, b) for a, b in both)


def test_a_cohort_larger_than_memory_is_streamed(tmp_path):
    shape = (2_000_000, 1, 79, 95, 30)
    # A file with a hole: it says 900 GB and takes none.
    array = np.memmap(tmp_path / "hole", np.float16, "w+", shape=shape)
    array[1_999_999] = 1
    cohort = DeviceCohort(ImageRows(array), CPU)
    assert cohort.resident is None
    (batch,) = cohort.batches([np.array([0, 1_999_999])])
    assert batch[:, 0, 0, 0, 0].tolist() == [0, 1]


def test_a_block_of_one_thread_leaves_numbers_of_threads_as_they_were(monkeypatch):
    for told in ("3", None):
        if told is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", told)
        before = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        with threads(1):
            assert torch.get_num_threads() == 1
            assert os.environ["OMP_NUM_THREADS"] == "1"
        now = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        assert now == before
        assert os.environ.get("OMP_NUM_THREADS") == told


def test_a_gpu_is_held_to_repeatable_and_true_float32_algorithms_and_let_go_again():
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.allow_tf32, torch.get_num_threads())
    with steady(torch.device("cuda", 0), threads=1):
        assert cudnn.deterministic
        assert not cudnn.allow_tf32
        assert not cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_num_threads() == 1
    assert (cudnn.deterministic, cudnn.allow_tf32, torch.get_num_threads()) == before
    assert not torch.are_deterministic_algorithms_enabled()
    with steady(torch.device("cpu")):
        assert not torch.are_deterministic_algorithms_enabled()

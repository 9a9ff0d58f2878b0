"""T2: against scipy's curve_fit, on simulated decays, on echoes as they come from disk."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from bidsapp.errors import BadData, NoInput
from bidsapp.modalities.knee import t2 as fitting
from bidsapp.modalities.knee.echoes import read_echoes, sample_echoes
from bidsapp.modalities.knee.t2 import BOUNDS_MS, _fit, fit_t2
from bidsapp.modalities.knee.whole_knee import KneeSettings, measure_knee
from tests.benchmarks.knee_t2 import agreement, by_curve_fit, decays, measured
from tests.unit.knees import affine_of, label_map, write_echoes

TIMES = np.arange(1, 8) / 100


def _agrees(signals: np.ndarray, times: np.ndarray) -> float:
    """Check that each voxel's minimum is curve_fit's or lower; how many times faster ours is."""
    fit_t2(signals[:10], times)  # what torch does once
    start = time.process_time()
    found = fit_t2(signals, times)
    ours = time.process_time() - start
    start = time.process_time()
    oracle = by_curve_fit(signals, times)
    theirs = time.process_time() - start
    facts = agreement(signals, times, found, oracle)
    assert facts["curve_fit's lower"] == 0
    assert facts["same minimum"] > 0.95 * len(signals)
    assert facts["T2 apart, share above tolerance"] == 0
    return theirs / ours


def test_like_curve_fit_and_much_faster() -> None:
    assert _agrees(decays(300, snr=50)[0], TIMES) > 5


def test_like_curve_fit_on_measured_echoes(real_data: Path) -> None:
    signals, times = measured(real_data, 200)
    assert len(times) == 8
    _agrees(signals, times)


class _Watched(TorchFunctionMode):
    """Refuses whatever brings values to the host, and tensors made without saying where."""

    host = ("cpu", "numpy", "item", "tolist", "__float__", "__int__", "__bool__", "__array__")

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        assert name not in self.host, f"{name} reads values on the host"
        out = func(*args, **given)
        made = isinstance(out, torch.Tensor) and out.ndim and "tensor" not in name
        if made and not any(isinstance(one, torch.Tensor | list | tuple) for one in args):
            assert "device" in given, f"{name}: on which device?"
        return out


@pytest.mark.parametrize("offset", [True, False])
def test_the_fit_stays_on_the_device_that_it_is_given(offset: bool) -> None:
    signals, _ = decays(40, snr=50)
    there = (torch.as_tensor(signals), torch.as_tensor(1000 * TIMES))
    with _Watched():
        found = _fit(*there, offset, BOUNDS_MS)
    assert found.shape == (4, 40)
    for wrong in (lambda: torch.linspace(0, 1, 5), lambda: float(there[1][0])):
        with pytest.raises(AssertionError), _Watched():
            wrong()


def test_batches_change_nothing_and_bound_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = decays(50, snr=50)[0]
    signals[7] = np.nan
    sizes = []

    def counted(signal: Any, *others: Any) -> Any:
        sizes.append(len(signal))
        return _fit(signal, *others)

    whole = fit_t2(signals, TIMES)
    monkeypatch.setattr(fitting, "_BATCH", {"cpu": 20})
    monkeypatch.setattr(fitting, "_fit", counted)
    parts = fit_t2(signals, TIMES)
    assert sizes == [20, 20, 9]
    for name in ("t2", "amplitude", "offset", "goodness", "at_bound"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    assert not fit_t2(signals[:0], TIMES).t2.size


@pytest.mark.parametrize(("snr", "bias", "spread"), [(100, 1.0, 9), (50, 2.0, 17), (20, 6.0, 40)])
def test_bias_and_spread_on_simulated_decays(snr: float, bias: float, spread: float) -> None:
    signals, t2 = decays(4000, snr)
    found = fit_t2(signals, TIMES)
    error = (found.t2 - t2)[~found.at_bound]
    assert abs(np.median(error)) < bias
    assert np.percentile(np.abs(error), 68) < spread
    # Without an offset in signal and model, two parameters say more.
    signals = np.exp(-1000 * TIMES / t2[:, None])
    signals = signals + np.random.default_rng(1).normal(size=signals.shape) / snr
    two = fit_t2(signals, TIMES, parameters=2)
    assert np.percentile(np.abs(two.t2 - t2), 68) < spread / 3


def test_noise_shortens_t2_where_the_signal_has_no_floor() -> None:
    """C cannot be below 0, so noise moves it upward, and T2 with it downward."""
    noise = 0.02 * np.random.default_rng(0).normal(size=(4000, 8))
    times = np.arange(1, 9) / 100
    decay = np.exp(-1000 * times / 40) + noise
    short = fit_t2(decay, times).t2
    assert 37.5 < short.mean() < 38.7
    assert np.median(fit_t2(decay + 0.1, times).t2) == pytest.approx(40, abs=0.4)  # with a floor
    assert fit_t2(decay, times, parameters=2).t2.mean() == pytest.approx(40, abs=0.2)
    # with less noise it is less short
    assert fit_t2(decay - 0.75 * noise, times).t2.mean() == pytest.approx(39.5, abs=0.3)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(5, 150),
    st.floats(1e-3, 1e6),
    st.floats(0, 0.5),
    st.integers(4, 12),
    st.booleans(),
)
def test_exact_decays_come_out_exactly(
    t2: float, amplitude: float, share: float, echoes: int, skip: bool
) -> None:
    times = np.linspace(0.008, 0.09, echoes + skip)
    signal = amplitude * (np.exp(-1000 * times / t2) + share)
    if skip:
        signal[0] *= 0.6  # what stimulated echoes do to the first
    found = fit_t2(signal[None], times, skip_first=skip)
    assert found.t2[0] == pytest.approx(t2, rel=1e-3)
    assert found.amplitude[0] == pytest.approx(amplitude, rel=1e-3)
    assert found.offset[0] == pytest.approx(share * amplitude, abs=2e-3 * amplitude)
    assert found.goodness[0] > 0.999999
    assert not found.at_bound[0]


def test_what_cannot_be_fitted_is_said() -> None:
    nothing, flat, growing = np.zeros(7), np.full(7, 5.0), np.linspace(1, 2, 7)
    gone = np.array([9, 1, 1, np.nan, 1, 1, 1.0])
    found = fit_t2(np.stack([nothing, gone, flat, growing]), TIMES)
    assert np.isnan(found.t2[:2]).all()
    assert found.goodness[3] < 0.5
    assert (found.amplitude[2:] >= 0).all()
    longer = fit_t2(np.exp(-1000 * TIMES / 500)[None], TIMES)
    assert longer.at_bound[0] or longer.goodness[0] > 0.999  # an offset may stand in for it
    assert fit_t2(np.exp(-1000 * TIMES / 500)[None], TIMES, parameters=2).at_bound[0]
    with pytest.raises(BadData, match="1 echoes are left"):
        fit_t2(np.ones((3, 2)), TIMES[:2], skip_first=True)
    three = fit_t2(np.exp(-1000 * TIMES[:3] / 40)[None], TIMES[:3])
    assert (three.offset[0], three.t2[0]) == (0, pytest.approx(40, rel=1e-4))


def test_echoes_are_ordered_by_their_times(tmp_path: Path) -> None:
    paths = write_echoes(tmp_path, times=(0.03, 0.01, 0.02))
    echoes = read_echoes(paths)
    assert echoes.times.tolist() == [0.01, 0.02, 0.03]
    assert (np.diff(echoes.signals.mean((0, 1, 2))) < 0).all()
    assert "the times were used" in echoes.notes[0]
    assert read_echoes(sorted(paths, key=lambda p: (p != paths[1], p != paths[2]))).notes == ()


def test_echoes_are_read_where_they_lie(tmp_path: Path) -> None:
    shape, affine = (12, 30, 34), affine_of(spacing=(9.0, 4.2, 4.2))
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = places @ affine[:3, :3].T + affine[:3, 3]
    t2 = 40 + 0.1 * world[..., 0]
    echoes = read_echoes(write_echoes(tmp_path, t2=t2, affine=affine, shape=shape))
    points = world[4:8, 10:20, 10:20].reshape(-1, 3) + 1.3
    found = fit_t2(sample_echoes(echoes, points), echoes.times).t2
    np.testing.assert_allclose(found, 40 + 0.1 * points[:, 0], atol=0.05)
    assert np.isnan(sample_echoes(echoes, points + 900)).all()


def test_layers_of_cartilage_have_their_own_t2(tmp_path: Path) -> None:
    shape, affine = (70, 88, 105), affine_of(spacing=(1.5, 1.3, 1.3))
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    up = (places * [1.5, 1.3, 1.3])[..., 2] - 62  # in the knee's frame: the tibia's joint is up
    paths = write_echoes(tmp_path, t2=35 + 3 * up.clip(-8, 2), affine=affine, shape=shape)
    chosen = KneeSettings(bones=("tibia",), rows=96, columns=96)
    maps = measure_knee(label_map(), {}, chosen, read_echoes(paths)).bones["tibia"]
    deep, whole, outer = (maps.values[name] for name in ("t2deep", "t2", "t2superficial"))
    known = np.isfinite(deep) & np.isfinite(outer) & maps.sheet.covered
    gap = (outer - deep)[known & (maps.surface.normals[:, 2] > 0.95)]
    assert np.median(gap) == pytest.approx(3 * 2.4 / 2, abs=1.2)  # half of the plate's thickness
    assert ((whole >= deep - 1) & (whole <= outer + 1))[known].mean() > 0.95
    assert maps.facts["t2_fitted_share"] > 0.99
    assert maps.facts["t2_goodness"] > 0.999


def bad(folder: Path, what: str) -> list[Path]:
    paths = write_echoes(folder, times=(0.01, 0.02, 0.03, 0.04))
    sidecar = paths[1].with_name(paths[1].name.replace(".nii.gz", ".json"))
    if what == "milliseconds":
        sidecar.write_text(json.dumps({"EchoTime": 20}))
    elif what == "no time":
        sidecar.unlink()
    elif what == "same time":
        sidecar.write_text(json.dumps({"EchoTime": 0.01}))
    elif what == "shape":
        nib.save(nib.Nifti1Image(np.ones((3, 4, 5), "f4"), affine_of()), paths[1])
    elif what == "place":
        image = nib.Nifti1Image.load(paths[1])
        nib.save(nib.Nifti1Image(image.get_fdata(), np.eye(4) + image.affine), paths[1])
    elif what == "axes":
        nib.save(nib.Nifti1Image(np.ones((3, 4, 5, 2), "f4"), affine_of()), paths[0])
    elif what == "one":
        return paths[:1]
    elif what == "gone":
        paths[2].unlink()
    return paths


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("milliseconds", BadData, r"EchoTime is 20; BIDS has it in seconds.*Write 0\.02"),
        ("no time", BadData, "EchoTime is None"),
        ("same time", BadData, r"echo-1_MESE.nii.gz and .*echo-2.* have the same EchoTime"),
        ("shape", BadData, r"has 3 x 4 x 5 voxels and .*echo-1"),
        ("place", BadData, "lies elsewhere than"),
        ("axes", BadData, "has 4 axes"),
        ("one", BadData, "at least two echoes"),
        ("gone", NoInput, "is not there"),
    ],
)
def test_echoes_that_cannot_be_used(
    tmp_path: Path, what: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_echoes(bad(tmp_path, what))


def test_echoes_of_another_place_are_refused(tmp_path: Path) -> None:
    far = affine_of(spacing=(9.0, 2.1, 2.1)).copy()
    far[0, 3] -= 500
    echoes = read_echoes(write_echoes(tmp_path, affine=far))
    with pytest.raises(BadData, match="beside the label map"):
        measure_knee(label_map(), {}, replace(KneeSettings(), bones=("patella",)), echoes)

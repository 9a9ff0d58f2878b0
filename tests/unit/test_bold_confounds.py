"""Confounds are those of nipype, cleaning is that of nilearn, and what cannot be is refused."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.contracts.prepared import Made, Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.errors import BadData
from bidsapp.modalities.bold.cleaning import censored, chosen_columns, clean
from bidsapp.modalities.bold.confounds import (
    confounds_of,
    dvars,
    framewise_displacement,
    steady_start,
)
from bidsapp.modalities.bold.products import PRODUCTS
from bidsapp.modalities.bold.runs import _about
from bidsapp.modalities.bold.runs import _table as _table_of
from bidsapp.modalities.bold.strategies import STRATEGIES, Strategy
from bidsapp.modalities.bold.tissues import tissue_masks

TR = 2.0
SHAPE = (10, 9, 8)


def _parameters(volumes: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal((volumes, 6)) * [*(0.05,) * 3, *(0.001,) * 3], axis=0)


def _series(volumes: int = 60, seed: int = 0) -> np.ndarray:
    """Slow signals and noise over a level that differs between voxels."""
    rng = np.random.default_rng(seed)
    voxels = int(np.prod(SHAPE))
    slow = np.cumsum(rng.standard_normal((volumes, 3)), axis=0)
    mixed = slow @ rng.standard_normal((3, voxels)) + rng.standard_normal((volumes, voxels)) * 4
    return (rng.uniform(400, 900, voxels) + mixed).astype("f4")


def _tissues() -> tuple[np.ndarray, np.ndarray]:
    white = np.arange(720) % 5 == 0
    return white, np.arange(720) % 7 == 1


def _table(volumes: int = 60, seed: int = 0) -> pd.DataFrame:
    return confounds_of(_parameters(volumes, seed), _series(volumes, seed), *_tissues(), TR).table


def _image(series: np.ndarray) -> nib.Nifti1Image:
    return nib.Nifti1Image(series.T.reshape(*SHAPE, -1), np.diag([3.0, 3, 3, 1]))


def test_framewise_displacement_is_nipypes(tmp_path: Path) -> None:
    from nipype.algorithms.confounds import FramewiseDisplacement

    parameters = _parameters()
    np.savetxt(tmp_path / "motion.txt", parameters)
    FramewiseDisplacement(
        in_file=str(tmp_path / "motion.txt"),
        parameter_source="SPM",
        out_file=str(tmp_path / "fd.txt"),
    ).run(cwd=tmp_path)
    found = framewise_displacement(parameters)
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx(np.loadtxt(tmp_path / "fd.txt", skiprows=1), abs=1e-10)


def test_dvars_are_nipypes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nipype.algorithms import confounds

    def yule_walker(x: np.ndarray, order: int, rxx: Any = None) -> float:
        x = x.astype(float)  # as nitime, which nipype asks and which is not installed
        return float((x[1:] * x[:-1]).sum() / (x * x).sum())

    monkeypatch.setattr(confounds, "_AR_est_YW", yule_walker)
    series = _series()
    _image(series).to_filename(tmp_path / "bold.nii.gz")
    nib.Nifti1Image(np.ones(SHAPE, "u1"), np.diag([3.0, 3, 3, 1])).to_filename(
        tmp_path / "mask.nii.gz"
    )
    standardised, plain, _ = confounds.compute_dvars(
        str(tmp_path / "bold.nii.gz"), str(tmp_path / "mask.nii.gz")
    )
    ours = dvars(series)
    assert ours[0][1:] == pytest.approx(standardised, rel=1e-4)
    assert ours[1][1:] == pytest.approx(plain, rel=1e-4)
    assert np.isnan([ours[0][0], ours[1][0]]).all()
    # A voxel that does not change has no part in either.
    still = np.insert(series, 5, 700.0, axis=1)
    assert dvars(still)[0][1:] == pytest.approx(standardised, rel=1e-3)


def test_compcor_is_nipypes_and_has_fmripreps_names() -> None:
    from nipype.algorithms.confounds import compute_noise_components

    series, (white, fluid) = _series(), _tissues()
    found = confounds_of(_parameters(), series, white, fluid, TR)
    data = series.T.reshape(*SHAPE, -1).astype(float)
    both = ("combined", white | fluid, "a")
    for tissue, inside, letter in (("WM", white, "w"), ("CSF", fluid, "c"), both):
        mask = nib.Nifti1Image(inside.reshape(SHAPE).astype("u1"), np.eye(4))
        components, _, facts = compute_noise_components(
            data, [mask], 10, "cosine", period_cut=128, repetition_time=TR
        )
        for number in range(10):
            name = f"{letter}_comp_cor_{number:02d}"
            assert found.table[name].to_numpy() == pytest.approx(components[:, number], abs=1e-6)
            told = found.about[name]
            assert told["Mask"] == tissue
            assert told["VarianceExplained"] == pytest.approx(facts["variance_explained"][number])


def test_every_column_of_fmriprep_that_denoising_needs_is_there() -> None:
    table = _table(80)
    for name in ("trans_x", "rot_z"):
        for tail in ("", "_derivative1", "_power2", "_derivative1_power2"):
            assert f"{name}{tail}" in table
    change = np.diff(table["rot_y"])
    assert table["rot_y_derivative1_power2"][1:].to_numpy() == pytest.approx(change**2)
    for name in ("global_signal", "csf", "white_matter", "cosine00", "std_dvars", "dvars"):
        assert name in table
    assert table.iloc[1:].notna().all(axis=None)


def test_volumes_before_steady_state_and_sudden_moves_have_a_column_each() -> None:
    parameters, series = _parameters(), _series()
    parameters[30:, 0] += 1
    series[:2] += 500
    table = confounds_of(parameters, series, *_tissues(), TR, steady=2).table
    spikes = [name for name in map(str, table) if name.startswith("motion_outlier")]
    volumes = {int(table[name].to_numpy().argmax()) for name in spikes}
    assert 30 in volumes
    assert table["non_steady_state_outlier01"].to_numpy().nonzero()[0].tolist() == [1]
    assert (table.loc[:1, "c_comp_cor_00"] == 0).all()
    assert censored(table, STRATEGIES["simple"]).nonzero()[0].tolist() == [0, 1]
    assert 30 in censored(table, STRATEGIES["scrub"]).nonzero()[0]


def test_the_first_volumes_are_not_in_steady_state_where_they_are_brighter() -> None:
    rng = np.random.default_rng(0)
    data = 500 + rng.standard_normal((6, 6, 6, 40))
    assert steady_start(data) == 0
    data[..., :3] += [80, 40, 20]
    assert steady_start(data) == 3


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_cleaning_is_nilearns(strategy: str, tmp_path: Path) -> None:
    from nilearn.image import clean_img

    parameters, series = _parameters(90, 2), _series(90, 2)
    parameters[40:, 1] += 1.2
    table = confounds_of(parameters, series, *_tissues(), TR).table
    asked = STRATEGIES[strategy]
    found = clean(series, table, asked, TR, (0.008, 0.2))
    chosen = table[chosen_columns(table, asked)].bfill()
    out = censored(table, asked)
    assert out.any() == (asked.fd_mm is not None)
    theirs = clean_img(
        _image(series),
        detrend=True,
        standardize=None,
        confounds=chosen.to_numpy() if len(chosen.columns) else None,
        low_pass=0.2,
        high_pass=0.008,
        t_r=TR,
        **({"clean__sample_mask": np.flatnonzero(~out)} if out.any() else {}),
    )
    assert found.kept.tolist() == np.flatnonzero(~out).tolist()
    wanted = theirs.get_fdata().reshape(720, -1).T
    assert found.series == pytest.approx(wanted, abs=1e-3)
    assert found.series.shape == (len(found.kept), 720)


def test_the_chosen_columns_are_those_that_nilearn_loads(tmp_path: Path) -> None:
    from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy

    found = confounds_of(_parameters(80), _series(80), *_tissues(), TR)
    stem = tmp_path / "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    _image(_series(80)).to_filename(stem)
    table = tmp_path / "sub-01_task-rest_desc-confounds_timeseries.tsv"
    found.table.to_csv(table, sep="\t", na_rep="n/a", index=False)
    table.with_suffix(".json").write_text(json.dumps(found.about))
    full, _ = load_confounds(str(stem), ("motion", "wm_csf"), motion="full", wm_csf="basic")
    assert set(full) == set(chosen_columns(found.table, STRATEGIES["24p"]))
    separate, _ = load_confounds(
        str(stem),
        ("motion", "high_pass", "compcor"),
        motion="derivatives",
        compcor="anat_separated",
        n_compcor=5,
    )
    theirs = {name for name in separate if not name.startswith("cosine")}
    assert theirs == set(chosen_columns(found.table, STRATEGIES["acompcor"]))
    for named in ("simple", "scrubbing", "compcor"):  # nilearn's own, but for ICA-AROMA
        own, kept = load_confounds_strategy(str(stem), named)
        assert len(own) == 80
        assert own.notna().all(axis=None)
        assert kept is None or len(kept) > 40


def test_nilearn_loads_the_confounds_of_joined_runs_from_what_their_json_says(
    tmp_path: Path,
) -> None:
    """Components of one run alone are loaded too, 0 in the other."""
    from nilearn.interfaces.fmriprep import load_confounds

    long, short = (confounds_of(_parameters(t, t), _series(t, t), *_tissues(), TR) for t in (80, 8))
    facts = {"volumes": (80, 8), "about_confounds": _about([long.about, short.about])}
    about = Made(OutputNames(tmp_path, {}, {}, PRODUCTS), Provenance({}, "", {}), facts)
    product = next(one for one in PRODUCTS if one.key == "confounds")
    stem = tmp_path / "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    _image(_series(88)).to_filename(stem)
    path = tmp_path / "sub-01_task-rest_desc-confounds_timeseries.tsv"
    table = _table_of([long.table, short.table])
    table.to_csv(path, sep="\t", na_rep="n/a", index=False)
    path.with_suffix(".json").write_text(json.dumps(product.sidecar(about)))
    last = [name for name in long.about if name not in short.about]
    assert last
    found, _ = load_confounds(
        str(stem), ("high_pass", "compcor"), compcor="anat_separated", n_compcor="all"
    )
    wanted = {name for name in long.about if name[0] in "wc"}
    assert {name for name in found if "comp_cor" in name} == wanted
    own = [name for name in last if name in wanted]
    # demeaned by nilearn
    assert np.ptp(found[own][80:].to_numpy(), axis=0).max() == 0
    assert np.ptp(found[own][:80].to_numpy(), axis=0).min() > 0


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 100))
def test_what_is_a_confound_is_gone_and_the_rest_stays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volumes = 80
    table = _table(volumes, 3)
    moves = table[["trans_x", "rot_y"]].to_numpy()
    wave = np.sin(2 * np.pi * 0.05 * TR * np.arange(volumes))[:, None]
    series = wave * rng.uniform(1, 2, 720) + (moves / moves.std(axis=0)) @ rng.uniform(
        1, 4, (2, 720)
    )
    found = clean(1000 + series, table, STRATEGIES["simple"], TR, (0.01, 0.1))
    # One projection and one filter: nothing of the motion is left.
    left = moves - moves.mean(axis=0)
    assert np.abs(left.T @ found.series).max() < 0.15 * np.abs(left.T @ series).max()
    r = np.corrcoef(found.series.T, wave.T)[-1, :-1]
    assert r.min() > 0.6


def test_a_series_of_which_nothing_would_be_left_is_refused_with_its_numbers() -> None:
    parameters = _parameters()
    parameters[::2, 0] += 3
    table = confounds_of(parameters, _series(), *_tissues(), TR).table
    with pytest.raises(BadData, match=r"sub-01: 1 of 60 volumes are left"):
        clean(_series(), table, STRATEGIES["scrub"], TR, name="sub-01")
    with pytest.raises(BadData, match=r"the series: 60 volumes, and .*degrees of freedom"):
        clean(_series(), _table(), STRATEGIES["24p"], TR, (0.01, 0.05))


def test_confounds_without_numbers_are_refused_but_for_the_first_row() -> None:
    table = _table()
    assert table["trans_x_derivative1"].isna()[0]
    clean(_series(), table, STRATEGIES["acompcor"], TR)
    table.loc[4, "rot_x"] = np.nan
    with pytest.raises(BadData, match="rot_x has no number in row 5"):
        clean(_series(), table, STRATEGIES["acompcor"], TR)


def test_missing_columns_and_other_lengths_are_named() -> None:
    table = _table().drop(columns=["c_comp_cor_04", "rot_z"])
    with pytest.raises(BadData, match="rot_z, c_comp_cor_04 are missing"):
        clean(_series(), table, Strategy("", compcor=5), TR)
    with pytest.raises(BadData, match="60 volumes, and its confounds have 50 rows"):
        clean(_series(), _table(50), STRATEGIES["simple"], TR)


def test_tissues_of_a_real_brain_are_bright_and_deep_and_apart() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.arange(-30, 31),) * 3, indexing="ij")) * 2.5
    radius = np.sqrt((grid**2).sum(axis=0))
    brain = radius < 65
    t1w = np.where(radius < 52, 0.85, 0.55) + rng.standard_normal(radius.shape) * 0.03
    t1w = np.where((radius > 58) | (radius < 15), 0.2, t1w) * brain
    white, fluid = tissue_masks(t1w, brain, 2.5)
    assert white.sum() > 2000
    assert radius[white].max() < 50
    assert radius[white].min() > 17
    assert fluid.sum() > 100
    assert radius[fluid].max() < 15  # not the fluid of the surface


def test_white_matter_is_found_where_its_intensities_run_into_those_of_grey_matter() -> None:
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(*(np.arange(-30, 31),) * 3, indexing="ij")) * 2.5
    radius = np.sqrt((grid**2).sum(axis=0))
    brain, noise = radius < 65, rng.standard_normal(radius.shape)
    t1w = np.where(radius < 52, 0.8, 0.72) + 0.08 * noise
    t1w = np.where((radius > 60) | (radius < 15), 0.45 + 0.15 * noise, t1w)
    white, _ = tissue_masks(np.clip(t1w, 0.01, 1) * brain, brain, 2.5)
    # one of three Gaussians settled between the two, and left 318 voxels
    assert white.sum() > 3000
    assert ((radius < 52) & (radius > 15))[white].mean() > 0.99


@pytest.mark.parametrize(
    ("band", "least"), [((0.008, 0.09), 34), ((0.008, None), 22), ((None, 0.09), 22)]
)
def test_a_series_that_is_too_short_for_the_filter_is_refused_with_the_number(
    band: tuple[float | None, float | None], least: int
) -> None:
    series = np.random.default_rng(0).standard_normal((least, 4)).astype("f4")
    strategy = STRATEGIES["none"]
    table = pd.DataFrame(index=range(least))
    assert clean(series, table, strategy, 2.0, band).series.shape == series.shape
    with pytest.raises(BadData, match=f"{least - 1} volumes; .* at least {least}"):
        clean(series[1:], table[1:], strategy, 2.0, band, "x")

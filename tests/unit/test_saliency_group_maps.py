"""Group maps: who counts, how maps are averaged and smoothed, what is written."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from bidsapp.errors import BadData, NoInput
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.aggregate import fold_overlap, spread, top_voxels
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.people import people_maps
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.grid import MaskedSmoother

from .fitted_steps import leaks
from .saliency_stacks import AFFINE, SHAPE, axial, brain, make_stack, planted, rows_of, write_mask

FEW = Saliency(permutations=20)


def write(tmp_path: Path, stack: MapStack, **settings: object) -> tuple[Path, dict]:
    folder = tmp_path / "saliency" / "axial"
    options = {name: settings.pop(name, usual) for name, usual in (("sanity", None), ("leaks", ()))}
    section = Saliency.model_validate({"method": "gradient", "permutations": 20, **settings})
    mask = write_mask(tmp_path / "mask.nii.gz")
    write_group(
        stack, folder, template_label="MNI152NLin2009aSym", mask=mask, settings=section, **options
    )
    return folder, json.loads((folder / "summary.json").read_text())


def read(folder: Path, name: str) -> np.ndarray:
    return nib.Nifti1Image.load(folder / name).get_fdata()


def inside() -> np.ndarray:
    return axial().cut(brain())


def test_the_lead_map_is_the_mean_of_true_positives_alone(tmp_path: Path) -> None:
    stack = make_stack()
    folder, summary = write(tmp_path, stack, smoothing_fwhm_mm=0)
    rows = stack.rows
    chosen = (rows["outcome"] == 1) & (rows["probability"] >= 0.5)
    expected = axial().put_back(stack.values[chosen.to_numpy(), 0].mean(axis=0)) * brain()
    image = nib.Nifti1Image.load(folder / summary["default"])
    assert summary["default"] == "group_of-truepositives_desc-gradient_statmap.nii.gz"
    assert image.shape == SHAPE
    np.testing.assert_array_equal(image.affine, AFFINE)
    np.testing.assert_allclose(image.get_fdata(), expected, atol=1e-6)
    assert summary["n"]["true_positives"] == int(chosen.sum())
    counts = summary["n"]
    assert counts["true_positives"] + counts["false_negatives"] == counts["positives"] == 12
    assert counts["false_positives"] + counts["true_negatives"] == counts["negatives"] == 12


def test_the_planted_cuboid_leads_and_stays_in_its_place(tmp_path: Path) -> None:
    folder, summary = write(tmp_path, make_stack(), smoothing_fwhm_mm=4)
    mean = read(folder, summary["default"])
    top = np.zeros(SHAPE, bool)
    # fewer than the cuboid's own 64 voxels, so that all of them could be inside
    top.ravel()[np.argsort(-mean.ravel())[:40]] = True
    assert (top & planted()).sum() >= 36
    assert not mean[~brain()].any()


def test_a_person_counts_once_however_often_held_out() -> None:
    rows = rows_of(n=6, folds=3, repeats=1, accuracy=1.0)
    again = rows.iloc[[1, 1, 1]].assign(repeat=[1, 2, 3])
    many = pd.concat([rows, again], ignore_index=True)
    stack = make_stack(many)
    people = people_maps(stack, inside(), fwhm_mm=0)
    labels, values = people.of("positives")
    assert labels == ["sub-01", "sub-03", "sub-05"]
    own = stack.values[[1, 6, 7, 8], 0].mean(axis=0)[inside()]
    np.testing.assert_allclose(values[0], own, atol=1e-6)
    others = stack.values[[3, 5], 0].sum(axis=0)[inside()]
    np.testing.assert_allclose(values.mean(axis=0), (own + others) / 3, atol=1e-6)


def test_sessions_of_a_person_are_averaged_and_missing_sessions_do_no_harm() -> None:
    rows = rows_of(n=4, folds=2, accuracy=1.0)
    rows = pd.concat([rows, rows.iloc[[1]]], ignore_index=True)
    rows["session_id"] = [np.nan, "ses-1", np.nan, np.nan, "ses-2"]
    stack = make_stack(rows)
    labels, values = people_maps(stack, inside(), fwhm_mm=0).of("positives")
    assert labels == ["sub-01", "sub-03"]
    own = stack.values[[1, 4], 0].mean(axis=0)[inside()]
    np.testing.assert_allclose(values[0], own, atol=1e-6)


def test_a_person_of_many_scans_counts_once_in_the_mean_of_a_fold() -> None:
    rows = rows_of(n=4, folds=1, accuracy=1.0).iloc[[1, 1, 1, 3]].reset_index(drop=True)
    rows["session_id"] = ["ses-1", "ses-2", "ses-3", "ses-1"]
    stack = make_stack(rows)
    stack.values[:3], stack.values[3] = 0, 1
    people = people_maps(stack, inside(), fwhm_mm=0, cell="positives")
    np.testing.assert_allclose(people.folds[0, 0], 0.5)
    np.testing.assert_allclose(people.fold_people[0, 0], 0.5)


def test_smoothing_keeps_a_constant_and_draws_nothing_in_from_outside() -> None:
    mask = inside()
    smooth = MaskedSmoother(mask, (2, 2, 2), 8)
    np.testing.assert_allclose(smooth(np.full(mask.sum(), 3.0)), 3, rtol=1e-5)


def test_smoothing_deep_inside_is_the_gaussian_of_that_width_in_mm() -> None:
    mask = np.ones((41, 31, 41), bool)
    block = np.zeros(mask.shape)
    block[20, 15, 20] = 1
    smoothed = np.zeros(mask.shape)
    smoothed[mask] = MaskedSmoother(mask, (1, 2, 1), 6)(block[mask])
    sigma = 6 / np.sqrt(8 * np.log(2))
    expected = gaussian_filter(block, (sigma, sigma / 2, sigma), mode="constant")
    np.testing.assert_allclose(smoothed[20, 15, 20], expected[20, 15, 20], rtol=1e-4)
    # half of the maximum at half the width: 3 mm away, on either side of the axes' voxel sizes
    at_3mm = np.interp(3, [2, 4], [smoothed[20, 16, 20], smoothed[20, 17, 20]])
    assert smoothed[23, 15, 20] / smoothed[20, 15, 20] == pytest.approx(0.5, abs=0.01)
    assert at_3mm / smoothed[20, 15, 20] == pytest.approx(0.5, abs=0.05)


def test_the_smoothed_mean_is_the_mean_of_the_smoothed(tmp_path: Path) -> None:
    stack = make_stack()
    people = people_maps(stack, inside(), fwhm_mm=6)
    mean = stack.values[:, 0].mean(axis=0)[inside()]
    smoothed = MaskedSmoother(inside(), (2, 2, 2), 6)(mean)
    np.testing.assert_allclose(people.of("all")[1].mean(axis=0), smoothed, atol=1e-5)


def test_spread_is_that_of_numpy() -> None:
    values = np.random.default_rng(0).standard_normal((9, 50)).astype(np.float32)
    found = spread(values)
    np.testing.assert_allclose(found.standard_error, values.std(axis=0, ddof=1) / 3, rtol=1e-5)
    same = (np.sign(values) == np.sign(values.mean(axis=0))).mean(axis=0)
    np.testing.assert_allclose(found.sign_consistency, same, rtol=1e-6)


def test_folds_that_agree_overlap_and_folds_of_noise_do_not() -> None:
    rng = np.random.default_rng(0)
    signal = np.zeros(20_000)
    signal[:200] = 100
    agree = fold_overlap([signal + rng.standard_normal(20_000) for _ in range(4)])
    chance = fold_overlap([rng.standard_normal(20_000) for _ in range(4)])
    assert agree.dice == 1
    assert agree.share[:200].min() == 1
    assert chance.dice == pytest.approx(chance.by_chance, abs=0.02)


def test_top_voxels_are_of_largest_magnitude_and_never_zero() -> None:
    values = np.zeros(1000)
    values[[3, 5, 7]] = [-9, 2, 1]
    assert set(np.flatnonzero(top_voxels(values))) == {3, 5, 7}
    assert set(np.flatnonzero(top_voxels(np.arange(1000) - 900.0))) == set(range(10))


def test_every_map_says_what_it_is(tmp_path: Path) -> None:
    folder, summary = write(tmp_path, make_stack(), smoothing_fwhm_mm=7)
    for name in summary["maps"].values():
        sidecar = json.loads((folder / name.replace(".nii.gz", ".json")).read_text())
        for key in ("Description", "Units", "Method", "Of", "SmoothingFWHM", "Sources", "Space"):
            assert sidecar[key] not in (None, "")
        assert sidecar["Target"] == "logit"
    listed = set(summary["maps"].values())
    assert listed == {path.name for path in folder.glob("*.nii.gz")}


def test_a_map_that_failed_its_checks_says_so_in_its_name(tmp_path: Path) -> None:
    write(tmp_path, make_stack())
    verdict = {"verdict": "fail", "sentences": ["An untrained network gives the same map."]}
    folder, summary = write(tmp_path, make_stack(), sanity=verdict)
    assert summary["sanity"] == verdict
    assert "_desc-gradientSuspect_" in summary["default"]
    # and the maps of the earlier run, which did not fail, no longer stand beside them
    assert all("Suspect" in path.name for path in folder.glob("*_statmap.*"))


def test_same_stack_same_bits(tmp_path: Path) -> None:
    written = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        folder, _ = write(tmp_path / place, make_stack())
        written.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert written[0] == written[1]


def test_nobody_rightly_positive_gives_the_map_of_positives_and_says_so(tmp_path: Path) -> None:
    rows = rows_of()
    rows["probability"] = 0.1
    _, summary = write(tmp_path, make_stack(rows))
    assert summary["of"] == "positives"
    assert summary["default"] == "group_of-positives_desc-gradient_statmap.nii.gz"
    assert summary["n"]["true_positives"] == 0
    assert any("nobody is in true_positives" in note for note in summary["notes"])
    assert "true_positives" not in summary["maps"]


def test_one_fold_without_true_positives_leaves_the_others(tmp_path: Path) -> None:
    rows = rows_of(accuracy=1.0)
    rows.loc[rows["fold"] == 2, "probability"] = 0.2
    _, summary = write(tmp_path, make_stack(rows))
    assert summary["overlap_of_folds"]["folds"] == 3


def test_a_single_participant(tmp_path: Path) -> None:
    rows = rows_of().iloc[[1]].assign(probability=0.9)
    stack = make_stack(rows)
    folder, summary = write(tmp_path, stack, smoothing_fwhm_mm=0)
    np.testing.assert_allclose(
        read(folder, summary["default"])[brain() & (read(folder, summary["default"]) != 0)],
        axial().put_back(stack.values[0, 0])[brain() & (axial().put_back(stack.values[0, 0]) != 0)],
        rtol=1e-6,
    )
    assert "standard_error" not in summary["maps"]


def test_a_map_of_nan_is_left_out_by_name(tmp_path: Path) -> None:
    stack = make_stack()
    stack.values[3] = np.nan
    folder, summary = write(tmp_path, stack)
    assert any("sub-03" in note and "NaN" in note for note in summary["notes"])
    assert summary["n"]["all"] == 23
    assert np.isfinite(read(folder, summary["default"])).all()


def test_only_maps_of_nan_are_refused(tmp_path: Path) -> None:
    stack = make_stack()
    stack.values[:] = np.nan
    with pytest.raises(BadData, match="none of the 24 maps can be used"):
        write(tmp_path, stack)


def test_a_mask_without_voxels_in_the_slab_is_refused(tmp_path: Path) -> None:
    outside = brain()
    outside[:, :, 6:18] = False
    mask = write_mask(tmp_path / "rim.nii.gz", outside)
    with pytest.raises(BadData, match=r"rim\.nii\.gz has no voxel inside the window"):
        write_group(
            make_stack(),
            tmp_path / "s",
            template_label="X",
            mask=mask,
            settings=FEW,
        )


def test_a_mask_on_another_grid_or_missing_is_refused(tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] += 2
    for mask in (
        write_mask(tmp_path / "moved.nii.gz", affine=shifted),
        write_mask(tmp_path / "small.nii.gz", np.ones((5, 5, 5))),
    ):
        with pytest.raises(BadData, match="grid"):
            write_group(
                make_stack(),
                tmp_path / "s",
                template_label="X",
                mask=mask,
                settings=FEW,
            )
    with pytest.raises(NoInput, match="absent"):
        write_group(
            make_stack(),
            tmp_path / "s",
            template_label="X",
            mask=tmp_path / "absent.nii.gz",
            settings=FEW,
        )


def test_paper_mode_takes_the_maps_of_the_best_fold_as_they_come(tmp_path: Path) -> None:
    rows = rows_of(accuracy=0.3)
    best = rows["fold"] == 3
    rows.loc[best, "probability"] = 0.2 + 0.6 * rows.loc[best, "outcome"]
    stack = make_stack(rows)
    np.abs(stack.values, out=stack.values)
    folder, summary = write(
        tmp_path, stack, folds="best", absolute=True, scale="minmax", smoothing_fwhm_mm=0
    )
    chosen = (best & (rows["outcome"] == 1)).to_numpy()
    expected = stack.values[chosen, 0][:, inside()].mean(axis=0)
    found = axial().cut(read(folder, summary["default"]))[inside()]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert any(note.startswith("LEAK") and "fold 3" in note for note in summary["notes"])
    said = json.loads((folder / summary["default"].replace(".nii.gz", ".json")).read_text())
    assert said["Leak"] == "LEAK: saliency.folds: best"
    assert said["Aggregation"].startswith("Mean over the people whom fold 3 (repeat 0) alone held")
    assert said["ModelSHA256"] == ["03"]
    assert (said["Repeat"], said["Fold"]) == ([0], [3])


def test_maps_of_training_people_of_the_best_fold_say_how_it_was_chosen(tmp_path: Path) -> None:
    rows = rows_of()
    stack = make_stack(rows[rows["fold"] == 2].reset_index(drop=True), role="train")
    folder, summary = write(tmp_path, stack, folds="best")
    assert any(note.startswith("LEAK") and "fold 2" in note for note in summary["notes"])
    said = json.loads((folder / summary["default"].replace(".nii.gz", ".json")).read_text())
    assert said["Leak"] == "LEAK: saliency.folds: best"
    assert "whom fold 2 (repeat 0) alone was trained on" in said["Aggregation"]


def test_two_channels_have_a_map_each_and_their_sum_leads(tmp_path: Path) -> None:
    stack = make_stack(channels=("t1w", "log_jacobian"))
    folder, summary = write(tmp_path, stack, smoothing_fwhm_mm=5)
    each = [read(folder, summary["maps"][f"channel_{name}"]) for name in stack.channels]
    np.testing.assert_allclose(sum(each), read(folder, summary["default"]), atol=1e-5)
    assert np.abs(each[0] - each[1]).max() > 0.1


def test_a_leak_is_stamped_on_every_map_and_table(tmp_path: Path) -> None:
    (told,) = leaks("representation.zscore: dataset")
    step, why = told.name, told.why
    folder, summary = write(tmp_path, make_stack(), leaks=[told])
    sidecars = [json.loads(path.read_text()) for path in folder.glob("*_statmap.json")]
    assert {one["Leak"] for one in sidecars} == {f"LEAK: {step}"}
    assert {one["HeldOut"] for one in sidecars} == {False}
    assert summary["leaks"] == [step]
    assert summary["held_out"] is False
    assert f"LEAK: {step}: {why}" in summary["notes"]
    for name in summary["tables"].values():
        assert set(pd.read_csv(folder / name, sep="\t")["leak"]) == {f"LEAK: {step}"}, name
    folder, summary = write(tmp_path, make_stack())
    assert summary["held_out"] is True
    assert not any("LEAK" in path.read_text() for path in folder.glob("*.[jt]*"))


def test_the_settings_are_those_of_the_run_and_nothing_of_an_earlier_one_stays(
    tmp_path: Path,
) -> None:
    # maps of a fold outlive settings that do not shape them
    stack = make_stack(settings={"folds": "best", "permutations": 9})
    folder, _ = write(tmp_path, stack)
    for name in ("biomarkers.tsv", "biomarkers.json"):
        (folder / name).write_text("{}")
    (folder / "regions.json").write_text("{}")
    folder, _ = write(tmp_path, stack, permutations=0)
    for path in folder.glob("*_statmap.json"):
        settings = json.loads(path.read_text())["Settings"]
        assert (settings["folds"], settings["permutations"]) == ("all", 0), path
    assert sorted(path.name for path in folder.glob("*.tsv")) == ["peaks.tsv", "regions.tsv"]
    assert not (folder / "biomarkers.json").exists()
    assert (folder / "regions.json").exists()

"""Planes joined into one map."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.planes import combine_planes, unlike, write_planes
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.volume import Volume, slab
from tests.unit.saliency_stacks import top_share_inside

from .saliency_stacks import AFFINE, SHAPE, brain, make_stack, planted, rows_of, write_mask

PLANES = ("axial", "coronal", "sagittal")


def window(name: str) -> Volume:
    return slab(SHAPE, AFFINE, name, 12)


def constant(name: str, value: float) -> MapStack:
    stack = make_stack(rows_of(n=8, folds=2), window(name))
    stack.values[:] = value
    return stack


def planes(effect: float = 2.0) -> dict[str, MapStack]:
    rows = rows_of(accuracy=1.0)
    return {
        name: make_stack(rows.copy(), window(name), effect=effect, seed=seed)
        for seed, name in enumerate(PLANES)
    }


def test_a_voxel_is_the_mean_of_the_planes_that_see_it() -> None:
    stack, coverage = combine_planes("e", {n: constant(n, 1) for n in ("axial", "coronal")})
    seen = np.zeros(SHAPE)
    for name in ("axial", "coronal"):
        seen += window(name).put_back(np.ones(window(name).shape))
    np.testing.assert_array_equal(coverage, seen > 0)
    assert stack.values.shape == (8, 1, *SHAPE)
    # scaled to a root mean square of 1, and the mean of 1 and 1 is 1, not 2
    np.testing.assert_allclose(stack.values[0, 0], seen > 0, atol=1e-6)


def test_one_networks_large_gradients_do_not_drown_the_others() -> None:
    stacks = planes(effect=3)
    stacks["sagittal"].values[:] *= 1000
    stack, coverage = combine_planes("e", stacks)
    mean = stack.values[stack.rows["outcome"] == 1, 0].mean(axis=0)
    assert top_share_inside(mean, planted(), coverage & brain()) > 0.8
    scales = [
        np.abs(stack.values[0, 0][window(n).put_back(np.ones(window(n).shape)) > 0]).mean()
        for n in PLANES
    ]
    assert max(scales) < 3 * min(scales)


def test_probabilities_are_joined_by_the_ensembles_rule() -> None:
    stacks = planes()
    for stack, value in zip(stacks.values(), (0.2, 0.45, 0.95), strict=True):
        stack.rows["probability"] = value
    mean, _ = combine_planes("e", stacks, "mean")
    vote, _ = combine_planes("e", stacks, "vote")
    assert mean.rows["probability"].to_numpy() == pytest.approx(1.6 / 3)
    assert vote.rows["probability"].to_numpy() == pytest.approx(1 / 3)


def test_scans_that_a_variant_lacks_are_left_out() -> None:
    stacks = planes()
    short = stacks["coronal"]
    stacks["coronal"] = MapStack(
        short.rows.iloc[4:], short.values[4:], short.channels, short.space, short.about
    )
    stack, _ = combine_planes("e", stacks)
    assert list(stack.rows["participant_id"]) == list(short.rows["participant_id"].iloc[4:])
    alone = stacks["axial"].space.put_back(stacks["axial"].values[4, 0])
    only = ~(window("coronal").put_back(np.ones(window("coronal").shape)) > 0)
    only &= ~(window("sagittal").put_back(np.ones(window("sagittal").shape)) > 0)
    ratio = stack.values[0, 0][only & (alone != 0)] / alone[only & (alone != 0)]
    assert ratio.std() < 1e-4 * ratio.mean()


def test_an_ensemble_is_written_like_a_variant(tmp_path: Path) -> None:
    stacks = planes()
    for name, stack in stacks.items():
        stack.rows["model_sha256"] = name[0] + stack.rows["fold"].astype(str)
    write_planes(
        "mean_probability",
        stacks,
        tmp_path / "mean_probability",
        settings=Saliency(permutations=20, smoothing_fwhm_mm=3),
        template_label="MNI152NLin2009aSym",
        mask=write_mask(tmp_path / "mask.nii.gz"),
    )
    folder = tmp_path / "mean_probability"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["variant"] == "mean_probability"
    assert "divided by their root mean square" in summary["units"]
    found = nib.Nifti1Image.load(folder / summary["default"])
    data = found.get_fdata()
    assert found.shape == SHAPE
    said = json.loads((folder / summary["default"].replace(".nii.gz", ".json")).read_text())
    # twelve networks: four folds of three planes
    assert said["ModelSHA256"] == sorted(f"{name[0]}{fold}" for name in PLANES for fold in range(4))
    corner = np.ones(SHAPE, bool)
    for name in PLANES:
        corner &= ~(window(name).put_back(np.ones(window(name).shape)) > 0)
    assert not data[corner].any()
    assert top_share_inside(data, planted(), ~corner & brain()) > 0.8


def test_what_cannot_be_joined_is_refused_by_name() -> None:
    stacks = planes()
    moved = AFFINE.copy()
    moved[0, 3] += 2
    other = make_stack(rows_of(accuracy=1.0), slab(SHAPE, moved, "coronal", 12))
    with pytest.raises(BadData, match="the maps of coronal lie on a grid"):
        combine_planes("e", stacks | {"coronal": other})
    with pytest.raises(BadData, match="ensemble e: no variant"):
        combine_planes("e", {})
    rows = rows_of(accuracy=1.0)
    rows["outcome"] = 1 - rows["outcome"]
    flipped = make_stack(rows, window("coronal"))
    with pytest.raises(BadData, match="outcomes of axial, coronal"):
        combine_planes("e", {"axial": stacks["axial"], "coronal": flipped})
    rows = rows_of(accuracy=1.0)
    rows["fold"] += 10
    with pytest.raises(BadData, match="no scan was held out in the same fold"):
        combine_planes("e", {"axial": stacks["axial"], "c": make_stack(rows, window("coronal"))})


def test_a_plane_of_zeros_stays_zero() -> None:
    stack, _ = combine_planes("e", {"axial": constant("axial", 0)})
    assert not stack.values.any()


def test_maps_of_different_kinds_are_told_apart_by_the_setting() -> None:
    signed, same = Saliency(), Saliency(permutations=3, of="all")
    paper = Saliency(target="probability", absolute=True, scale="minmax")
    assert unlike({"axial": signed, "coronal": same}) == ""
    assert unlike({"axial": signed, "coronal": paper}) == (
        "saliency.target (axial logit, coronal probability); "
        "saliency.absolute (axial false, coronal true); "
        "saliency.scale (axial none, coronal minmax)"
    )

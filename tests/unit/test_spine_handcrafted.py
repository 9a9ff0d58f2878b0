"""Handcrafted features of a region: in mm, of one image alone, and a planted width is found."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from bidsapp.evaluation.baselines import baseline_scores
from bidsapp.modalities.spine.files import write_region_files
from bidsapp.modalities.spine.handcrafted import (
    features_of,
    handcrafted_features,
    longest_run,
)
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.modality import MODALITY
from bidsapp.modalities.spine.phantom import draw_neck
from bidsapp.modalities.spine.region import make_region
from bidsapp.modalities.spine.roi_table import Roi
from tests.unit.spine_necks import box_about, foramen_mm, stack_of

PEOPLE, FOLDS = 60, 2
CELL = (0.28, 0.28)


def picture_of(rng: np.random.Generator, helped: bool, effect: float) -> np.ndarray:
    """The region of a synthetic neck as a network sees it, without the way through files."""
    neck = draw_neck(rng, helped, effect)
    side = 1 if neck.injection.side == "R" else -1
    out, front = np.meshgrid(
        (np.arange(100) + 0.5) * CELL[0], (np.arange(100) + 0.5) * CELL[1] - 10, indexing="ij"
    )
    x, y = side * out + neck.centre[0], front + neck.centre[1]
    clean = neck.image(np.stack([x, y, 0 * x], axis=-1))
    noisy = gaussian_filter(clean + rng.normal(0, 8, clean.shape), rng.uniform(1, 3))
    low, high = np.percentile(noisy, (1, 99))
    return np.clip((noisy - low) / (high - low), 0, 1)


@cache
def scores(effect: float) -> dict[str, float]:
    """Held-out AUC of both models on features, and the mean width's own, of one phantom."""
    rng = np.random.default_rng(3)
    outcome = np.arange(PEOPLE) % 2
    rows = [handcrafted_features(picture_of(rng, bool(y), effect), CELL) for y in outcome]
    people = pd.DataFrame({"participant_id": [f"sub-{i:02d}" for i in range(PEOPLE)],
                           "session_id": "n/a", "outcome": outcome})  # fmt: skip
    cohort = pd.concat([people, pd.DataFrame(rows).astype(str).add_prefix("handcrafted_")], axis=1)
    fold_of = np.arange(PEOPLE) // 2 % FOLDS
    splits = pd.concat([
        pd.DataFrame({"repeat": 0, "fold": fold, "participant_id": people["participant_id"],
                      "role": np.where(fold_of == fold, "test", "train")})
        for fold in range(FOLDS)
    ])  # fmt: skip
    found, skipped = baseline_scores(cohort, splits, ["handcrafted", "handcrafted_forest"])
    assert not skipped
    auc = {str(name): roc_auc_score(own["outcome"], own["probability"])
           for name, own in found.groupby("variant")}  # fmt: skip
    return auc | {"width": roc_auc_score(outcome, [row["width_median"] for row in rows])}


@pytest.mark.parametrize("name", ["handcrafted", "handcrafted_forest", "width"])
def test_a_planted_narrow_foramen_is_found_and_nothing_is_where_none_is(name: str) -> None:
    assert scores(1.0)[name] > 0.85
    assert abs(scores(0.0)[name] - 0.5) < 0.2  # two and a half standard errors of 60 people


@pytest.mark.parametrize("width", [3.0, 6.0])
@pytest.mark.parametrize("cell", [(0.28, 0.28), (0.2, 0.4)])
def test_widths_are_those_of_the_person_whatever_the_box(
    width: float, cell: tuple[float, float]
) -> None:
    y = (np.arange(100) + 0.5) * cell[1]
    bar = np.tile(np.abs(y - y.mean()) < width / 2, (100, 1)).astype(float)
    found = handcrafted_features(gaussian_filter(bar, 1) * 0.8 + 0.1, cell)
    for name in ("width_narrow", "width_median", "width_wide", "width_circle", "width_middle"):
        assert found[name] == pytest.approx(width, abs=2 * max(cell)), name
    assert found["area"] == pytest.approx(width * 50 * cell[0], rel=0.15)
    assert found["open"] == 1


def test_features_are_finite_and_the_same_names_even_of_an_empty_picture() -> None:
    empty = handcrafted_features(np.zeros((100, 100)), CELL)
    other = handcrafted_features(np.random.default_rng(0).random((100, 100)), CELL)
    assert list(empty) == list(other)
    assert all(np.isfinite([*empty.values(), *other.values()]))
    assert empty["width_median"] == empty["area"] == empty["open"] == 0
    assert sum(other[f"lbp_{k}"] for k in range(10)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("row", "longest"), [([], 0), ([0, 0], 0), ([1, 1, 0, 1], 2), ([0, 1, 1, 1], 3), ([1], 1)]
)
def test_the_longest_run_of_a_row(row: list[int], longest: int) -> None:
    assert longest_run(np.array(row, bool)) == longest


def test_the_modality_measures_them_from_the_files_of_a_region(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "L", flips=(-1, 1, 1))
    index, box = box_about(stack, foramen_mm("L"), 12.0)
    roi = Roi(Injection("C6", "L"), index, box, "roi.tsv")  # type: ignore[arg-type]
    region = make_region(stack, roi, find_midline(stack, index))
    stem = "sub-01_{}desc-C6L{}_T2w.nii.gz"
    picture = tmp_path / stem.format("space-foramen_", "preproc")
    slice_file, region_file = (tmp_path / stem.format("", one) for one in ("slice", "region"))
    write_region_files(region, slice_file, region_file, picture)
    told = {"Space": region.space.to_dict()}
    picture.with_name(picture.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))
    cells = [extent * 0.5 / 100 for extent in region.space.extent]
    expected = handcrafted_features(region.picture / 255, (cells[0], cells[1]))
    assert features_of(picture) == pytest.approx(dict(expected))
    assert MODALITY.handcrafted(picture) == features_of(picture)
    assert MODALITY.handcrafted_words

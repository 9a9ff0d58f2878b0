"""Both levels on the phantom of necks: the effect is found, and where it is."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates

from bidsapp.modalities.spine.phantom import write_phantom
from bidsapp.spaces import Slice, read_space
from tests.integration.group_studies import start, table_of
from tests.integration.running import Ended

pytestmark = pytest.mark.slow
FIXED = ("--recipe", "wang2023", "--nprocs", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def necks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Ended]:
    """Dataset, output folder and the end of the group level."""
    root = tmp_path_factory.mktemp("necks")
    bids, out = root / "bids", root / "out"
    write_phantom(bids, 60)
    first = start(bids, out, "participant", "--skip-bids-validation", *FIXED)
    assert first.code == 0, first.said
    ended = start(bids, out, "group", *FIXED, "--variants", "compact", "--native-maps")
    return bids, out, ended


def truth_in(bids: Path, who: str, space: Slice) -> np.ndarray:
    """Where a narrow foramen differs from a wide one, in the picture of a person."""
    mask = nib.load(next((bids / "derivatives/truth" / who).rglob("*_mask.nii.gz")))
    u, v = np.meshgrid(*map(np.arange, space.shape), indexing="ij")
    cells = np.stack([u, v, 0 * u, 0 * u + 1]).reshape(4, -1)
    at = (np.linalg.inv(mask.affine) @ space.affine @ cells)[:3]
    return map_coordinates(np.asarray(mask.dataobj, float), at, order=1).reshape(space.shape) > 0.5


def test_the_effect_is_found_in_people_who_were_held_out(necks: tuple[Path, Path, Ended]) -> None:
    _, out, ended = necks
    assert ended.code == 0, ended.said
    metrics = table_of(out / "group/wang2023/metrics.tsv")
    auc = metrics[(metrics["metric"] == "auc") & (metrics["scope"] == "pooled")]
    assert pd.to_numeric(auc["value"]).iloc[0] > 0.9
    tables = out / "group/wang2023/tables"
    rivals = table_of(tables / "baselines.tsv").set_index("confound")
    assert {"logistic", "random_forest", "handcrafted", "handcrafted_forest"} <= set(rivals.index)
    assert float(rivals.loc["handcrafted", "auc_confound"]) > 0.75  # widths tell of the foramen
    placed = table_of(tables / "placement.tsv")
    assert len(placed) == 9  # eight moves, and all of them together
    assert (pd.to_numeric(placed["change"]) > 0).all()
    assert (pd.to_numeric(placed["n"]) == 60).all()
    assert set(table_of(tables / "confounds.tsv")["confound"]) >= {"quality"}


def test_maps_lie_on_the_foramen_and_on_each_ones_own_slice(
    necks: tuple[Path, Path, Ended],
) -> None:
    bids, out, _ = necks
    run = out / "group/wang2023/saliency/compact"
    truths = []
    for path in sorted(run.glob("sub-*/anat/*_space-foramen_*statmap.nii.gz")):
        who = path.name.partition("_")[0]
        told = json.loads(next((out / who).rglob("*_space-foramen_*_T2w.json")).read_text())
        space = read_space(told["Space"])
        assert isinstance(space, Slice)
        truths.append(truth_in(bids, who, space))
        own = nib.load(path.with_name(path.name.replace("_space-foramen", "")))
        assert own.shape == space.grid_shape
        np.testing.assert_allclose(own.affine, space.grid_affine, atol=1e-4)
    assert len(truths) == 60
    # with 2 mm around it, as edges of the foramen count
    truth = binary_dilation(np.mean(truths, axis=0) > 0.25, iterations=7)
    name = "group_of-truepositives_desc-gradient_statmap.nii.gz"
    mean = gaussian_filter(np.abs(nib.load(run / name).get_fdata()[..., 0]), 1)
    top = mean >= np.quantile(mean, 0.95)
    assert truth.mean() < 0.4
    assert truth[top].mean() > 0.9

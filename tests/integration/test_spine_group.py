"""Both levels on the phantom of necks: the effect is found, and where it is."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from bidsapp.modalities.spine.phantom import write_phantom
from bidsapp.networks.bundle import load_bundle
from bidsapp.spaces import Slice, read_space
from tests.benchmarks.neck_maps import foramen_in, methods_of, places, read_necks
from tests.integration.group_studies import start, table_of
from tests.integration.running import Ended
from tests.unit.saliency_stacks import top_share_inside

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
        truths.append(foramen_in(bids, who, space))
        own = nib.Nifti1Image.load(path.with_name(path.name.replace("_space-foramen", "")))
        assert own.shape == space.grid_shape
        np.testing.assert_allclose(own.affine, space.grid_affine, atol=1e-4)
    assert len(truths) == 60
    # with 2 mm around it, as edges of the foramen count
    truth = binary_dilation(np.mean(truths, axis=0) > 0.25, iterations=7)
    name = "group_of-truepositives_desc-gradient_statmap.nii.gz"
    mean = gaussian_filter(np.abs(nib.Nifti1Image.load(run / name).get_fdata()[..., 0]), 1)
    top = mean >= np.quantile(mean, 0.95)
    assert truth.mean() < 0.4
    assert truth[top].mean() > 0.9


def test_trained_networks_look_at_the_foramen_and_untrained_ones_do_not(
    necks: tuple[Path, Path, Ended],
) -> None:
    bids, out, _ = necks
    run = out / "group/wang2023"
    everybody = read_necks(bids, out)
    scores = table_of(run / "scores.tsv")
    for column in ("outcome", "fold", "repeat", "probability"):
        scores[column] = pd.to_numeric(scores[column])
    methods = {"gradient": methods_of("resnet")["gradient"]}
    bundle = load_bundle(run / "model/compact")
    ((_, trained, untrained),) = places(bundle, scores, everybody, 3, methods)
    name = "group_of-truepositives_desc-gradient_statmap.nii.gz"
    written = nib.Nifti1Image.load(run / "saliency/compact" / name).get_fdata()[..., 0]
    everywhere = np.ones(written.shape, bool)
    # the benchmark's map is the run's own
    assert np.corrcoef(written.ravel(), trained.mean)[0, 1] > 0.999
    own = top_share_inside(written, everybody.foramen, everywhere, 0.05)
    assert trained.group == pytest.approx(own, abs=0.01)
    assert trained.group > 0.9
    assert max(one.group for one in untrained) < 0.7


def test_the_studys_network_is_explained_by_its_other_methods(
    necks: tuple[Path, Path, Ended],
) -> None:
    """B0 after one epoch: maps, checks and each one's own slice, whatever they show."""
    bids, out, _ = necks
    changes = ("network.start=random", "training.epochs=1", "protocol.folds=2")
    changes += ("evaluation.placement=0", "evaluation.baselines=[majority]")
    few = [f"{number:02d}" for number in range(1, 9)]
    asked = ("--variants", "cam7", "occlusion", "--native-maps", "--run-label", "other")
    people = ("--participant-label", *few)
    ended = start(bids, out, "group", *FIXED, *asked, *people, "--set", *changes)
    assert ended.code == 0, ended.said
    for variant, method in (("cam7", "gradCam"), ("occlusion", "occlusion")):
        folder = out / "group/other/saliency" / variant
        (mean,) = folder.glob(f"group_of-all_desc-{method}*_statmap.nii.gz")
        assert nib.Nifti1Image.load(mean).shape == (100, 100, 1)
        assert np.ptp(nib.Nifti1Image.load(mean).get_fdata()) > 0
        checks = table_of(folder / "sanity.tsv").set_index("check")["result"]
        assert {"weights", "edges", "voxels"} <= set(checks.index)
        assert not {"not run"} & set(checks.loc[["weights", "edges", "voxels"]])
        for label in few:
            found = sorted((folder / f"sub-{label}").rglob("*_statmap.nii.gz"))
            assert len(found) == 2  # in the frame of all, and on the person's own slice
            assert {nib.Nifti1Image.load(path).shape == (100, 100, 1) for path in found} == {
                True,
                False,
            }

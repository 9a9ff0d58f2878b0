"""BOLD at rest of another pipeline, from series to report: the planted network leads."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.ndimage import gaussian_filter

from bidsapp.cli import main
from bidsapp.networks.bundle import load_bundle

PEOPLE, VOLUMES, SHAPE = 20, 80, (16, 19, 16)
CENTRES = ((4, 6, 8), (11, 6, 8), (8, 14, 5), (8, 11, 12))
PLANTED = 2
NAMES = ("visual", "sensorimotor", "salience", "default")
AFFINE = np.diag([10.0, 10, 10, 1])
AFFINE[:3, 3] = -78, -112, -70
RECIPE = {
    "name": "small",
    "summary": "components of synthetic BOLD",
    "outcome": {"column": "responder", "positive": ["yes"], "negative": ["no"]},
    "preparation": {
        "modality": "bold",
        "resolution": 10,
        "confounds": "none",
        "band_pass_hz": [None, None],
        "smoothing_fwhm_mm": 0,
    },
    "representation": {
        "kind": "volume",
        "channels": ["bold"],
        "zscore": "none",
        "pad": [20, 20, 20],
        "fitted": {"group_ica": {"components": 4, "reduction": 10, "starts": 2}},
    },
    "network": {"name": "voxnet", "depth": 4, "dropout": 0.0, "start": "random"},
    "training": {"epochs": 12, "batch_size": 4, "lr": {"head": 1e-3, "backbone": 1e-3}},
    "protocol": {"kind": "kfold", "folds": 2},
    "evaluation": {
        "baselines": ["regions", "connectome"],
        "tests": [],
        "bootstrap": 50,
        "permutations": 20,
    },
    "saliency": {
        "method": "integrated_gradients",
        "samples": 8,
        "permutations": 99,
        "shuffled_folds": 0,
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A group run on people half of whom have one network twice as strong."""
    root = tmp_path_factory.mktemp("components")
    rng = np.random.default_rng(0)
    there = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3] + AFFINE[:3, 3]
    brain = ((there / [70, 85, 65]) ** 2).sum(axis=-1) < 1
    networks = np.zeros((len(CENTRES), *SHAPE))
    for network, centre in zip(networks, CENTRES, strict=True):
        network[centre] = 1
        network[:] = gaussian_filter(network, 1.3)
        network /= network.max()
    about = json.dumps({"Name": "synthetic", "BIDSVersion": "1.9.0"})
    for folder in ("bids", "prepared"):
        (root / folder).mkdir()
        (root / folder / "dataset_description.json").write_text(about)
    rows = []
    for number in range(PEOPLE):
        who, responder = f"sub-{number + 1:02d}", number % 2 == 1
        strength = np.ones(len(CENTRES)) * rng.uniform(0.9, 1.1, len(CENTRES))
        strength[PLANTED] *= 2 if responder else 1
        courses = rng.laplace(size=(VOLUMES, len(CENTRES)))
        series = np.einsum("tc,cxyz->xyzt", courses * strength * 8, networks)
        series += rng.standard_normal((*SHAPE, VOLUMES)) * 3 + 1000
        name = f"{who}_task-rest_space-MNI152NLin2009aSym_res-10_desc-preproc_bold.nii.gz"
        path = root / "prepared" / who / "func" / name
        path.parent.mkdir(parents=True)
        (root / "bids" / who).mkdir()
        image = nib.Nifti1Image((series * brain[..., None]).astype(np.float32), AFFINE)
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((10, 10, 10, 2.0))
        image.to_filename(path)
        rows.append({"participant_id": who, "responder": "yes" if responder else "no"})
    pd.DataFrame(rows).to_csv(root / "bids" / "participants.tsv", sep="\t", index=False)
    named = nib.Nifti1Image(np.moveaxis(networks, 0, -1).astype(np.float32), AFFINE)
    named.to_filename(root / "named.nii.gz")
    names = "".join(f"{number + 1}\t{name}\n" for number, name in enumerate(NAMES))
    (root / "named.tsv").write_text("index\tname\n" + names)
    saliency = RECIPE["saliency"] | {"networks": str(root / "named.nii.gz")}
    (root / "small.yaml").write_text(yaml.safe_dump(RECIPE | {"saliency": saliency}))
    arguments = (
        *(root / "bids", root / "out", "group", "--recipe", root / "small.yaml"),
        *("-d", f"prepared={root / 'prepared'}", "-w", root / "work"),
        *("--nprocs", 1, "--omp-nthreads", 1, "--nipype-plugin", "Linear"),
    )
    assert main([str(word) for word in arguments]) == 0
    return root / "out" / "group" / "small"


@pytest.mark.slow
def test_the_planted_network_is_found_told_and_drawn(run: Path) -> None:
    scores = pd.read_csv(run / "scores.tsv", sep="\t")
    ahead = scores.loc[scores["outcome"] == 1, "probability"].to_numpy()[:, None]
    assert (ahead > scores.loc[scores["outcome"] == 0, "probability"].to_numpy()).mean() > 0.8
    (folder,) = (path.parent for path in run.glob("saliency/*/components.tsv"))
    table = pd.read_csv(folder / "components.tsv", sep="\t")
    assert len(table) == 4
    assert (table["folds"] == 2).all()
    assert (table["r"] > table["null"]).all()
    assert table["ci_low"][0] > 0
    assert (folder / "components.png").is_file()
    dictionary = json.loads((folder / "components.json").read_text())
    assert set(dictionary) >= set(table)
    # the leading component of the first fold is the network that was planted
    (bundle,) = (path for path in run.glob("model/*") if path.is_dir())
    model = load_bundle(bundle)
    first = model.models[0].fitted.group_maps(model.inputs)[table["component"][0]]
    centre = np.array(CENTRES[PLANTED])
    peak = np.argwhere(np.abs(first) == np.abs(first).max())[0] - 2  # of the padded box
    assert np.abs(peak - centre).max() <= 2
    leading = table["component"][0]
    assert table["network"][0] == NAMES[PLANTED]
    assert table["network_r"][0] > max(0.6, table["network_null"][0])
    # people's own maps: the planted network differs, at its place, over all components
    groups = pd.read_csv(folder / "component_groups.tsv", sep="\t")
    assert groups["component"][0] == leading
    assert groups["t"][0] > 0
    assert groups["p_fwe"][0] <= 0.02
    there = groups.loc[0, ["x", "y", "z"]].to_numpy(float)
    assert np.abs(there - (AFFINE[:3, :3] @ centre + AFFINE[:3, 3])).max() <= 20
    # in standard space, whatever number a fold gives to the component
    for stem in ("of-truepositives_channel-{}", "contrast-positivesVsNegatives_channel-{}_stat-t"):
        (file,) = folder.glob(f"group_{stem.format(leading)}_desc-*_statmap.nii.gz")
        image = nib.Nifti1Image.load(file)
        assert np.allclose(image.affine, AFFINE)
        values = np.abs(np.asarray(image.dataobj))
        assert np.abs(np.unravel_index(values.argmax(), SHAPE) - centre).max() <= 3, stem
    # what each fold found is told apart from the maps: stability, and which component it is
    found = pd.read_csv(run / "components.tsv", sep="\t")
    assert found.groupby(["repeat", "fold"]).size().tolist() == [4, 4]
    assert found["like"].notna().sum() >= 7
    assert found["stability"].median() > 0.8
    folds = pd.read_csv(run / "folds.tsv", sep="\t")
    assert len(folds) == 2
    assert (folds["seconds"] > 0).all()
    rivals = pd.read_csv(run / "metrics.tsv", sep="\t")["variant"]
    assert {"regions", "connectome"} <= set(rivals)
    assert "tangent space" in (run / "logs" / "CITATION.md").read_text()
    # volumes by themselves say nothing of a person
    assert not (folder / "biomarkers.tsv").exists()
    page = (run / "report.html").read_text()
    assert "What folds found of their components" in page
    assert "A fold took" in page
    assert "Components by what the forecast loses without them" in page
    assert "components.png" in page

"""Bundles of format 1, as versions until 2026 wrote them: they are opened and say the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.predict import predict
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe

WRITTEN = Path(__file__).parents[1] / "data" / "bundle_format_1"
"""Written by the last version that wrote format 1, all but its weights: those are drawn anew."""


def draw(folder: Path, fold: int) -> None:
    """Draw the weights of a fold, 14 million numbers, and put their hash into the manifest."""
    network = build_network(load_recipe(folder / "recipe.yaml").network, 2, shape=(20, 24, 12))
    rng, state = np.random.default_rng(fold), {}
    for name, value in sorted(network.state_dict().items()):
        if name.endswith("running_var") or (value.dim() == 1 and name.endswith("weight")):
            new = np.ones(value.shape)
        elif value.dtype == torch.int64:
            new = np.zeros(value.shape)
        else:
            fan = max(1, int(np.prod(value.shape[1:])))
            new = rng.uniform(-1, 1, value.shape) * (3 / fan) ** 0.5
        state[name] = torch.from_numpy(np.array(new)).reshape(value.shape).to(value.dtype)
    name = f"models/repeat-0_fold-{fold}.safetensors"
    (folder / "models").mkdir(exist_ok=True)
    safetensors.torch.save_file(state, folder / name)
    seal(folder, name)


def seal(folder: Path, name: str) -> None:
    """Put the hash of a file into the manifest."""
    path = folder / "configs" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = file_sha256(folder / name)
    path.write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old") / "bundle"
    shutil.copytree(WRITTEN, folder)
    for fold in range(2):
        draw(folder, fold)
    return folder


def test_it_says_what_it_said(bundle):
    images = np.random.default_rng(7).random((4, 2, 20, 24, 12), np.float32)
    said = json.loads((WRITTEN / "predictions.json").read_text())["per_model"]
    found = predict(load_bundle(bundle), images, device="cpu").per_model
    np.testing.assert_allclose(found, said, atol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"scope": "image"}, r"models\[1\]: zscore.scope is 'image', recipe.yaml says"),
        ({"mean": [], "sd": []}, r"models\[1\]: .*mean has 0 numbers"),
        ({"sd": [0, 1]}, r"models\[1\]: .*sd not above 0"),
        ({"mean": [0.1], "sd": [1]}, r"models\[1\]: .*mean has 1 numbers, not 2"),
        ({"mean": "?"}, "models.json"),
    ],
)
def test_its_numbers_are_checked(bundle, tmp_path, numbers, message):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder, copy_function=lambda a, b: Path(b).hardlink_to(a))
    path = folder / "configs" / "models.json"
    content = json.loads(path.read_text())
    content["models"][1]["zscore"] |= numbers
    for name in ("models.json", "manifest.json"):  # hard links so far
        copy = (folder / "configs" / name).read_bytes()
        (folder / "configs" / name).unlink()
        (folder / "configs" / name).write_bytes(copy)
    path.write_text(json.dumps(content))
    seal(folder, "configs/models.json")
    with pytest.raises(BadData, match=message):
        load_bundle(folder)

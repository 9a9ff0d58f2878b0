import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from bidsapp.carry import carry_weights as carry
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.networks.registry import build_network
from bidsapp.networks.weights import CARRIED, check_weights, load_weights, weights_file
from bidsapp.recipes.network import Network

SECTION = Network(name="resnet", depth=10, start="medicalnet")


@pytest.fixture(scope="module")
def medicalnet(tmp_path_factory):
    """A file as MedicalNet publishes them, of a network with other weights than ours."""
    state = build_network(SECTION, 1, seed=99).state_dict()
    head = {"conv_seg.0.weight": torch.zeros(3), "conv_seg.3.weight": torch.ones(2)}
    kept = {k: v for k, v in state.items() if not k.startswith("fc.")} | head
    path = tmp_path_factory.mktemp("weights") / "resnet_10_23dataset.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in kept.items()}}, path)
    return path


def hollow(depth):
    """All keys and shapes of a depth, in a small file."""
    state = build_network(Network(name="resnet", depth=depth, start="random"), 1).state_dict()
    return {
        f"module.{k}": torch.zeros((), dtype=v.dtype).expand(v.shape)
        for k, v in state.items()
        if not k.startswith("fc.")
    } | {"module.conv_seg.0.weight": torch.zeros(1)}


def test_a_medicalnet_file_loads_but_for_its_head(medicalnet):
    network = build_network(SECTION, 1, seed=1)
    head = network.fc.weight.detach().clone()
    record = load_weights(network, SECTION, 1, medicalnet)
    theirs = build_network(SECTION, 1, seed=99).state_dict()
    for key, value in network.state_dict().items():
        expected = head if key == "fc.weight" else theirs[key]
        assert torch.equal(value, expected), key
    assert record.kind == "medicalnet"
    assert record.file == "resnet_10_23dataset.pth"
    assert record.sha256 == hashlib.sha256(medicalnet.read_bytes()).hexdigest()


def refused(path, message, depth=10):
    section = Network(name="resnet", depth=depth, start="medicalnet")
    network = build_network(section, 1, seed=1)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(BadData, match=message) as caught:
        load_weights(network, section, 1, path)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    return str(caught.value)


def test_another_depth_is_refused_with_its_keys(tmp_path):
    path = tmp_path / "18.pth"
    torch.save({"state_dict": hollow(18)}, path)
    text = refused(path, "another depth")
    assert "layer1.1.bn1.bias" in text
    assert "layer2.0.downsample.0.weight" in text
    torch.save({"state_dict": hollow(34)}, path)
    assert "unexpected layer1.2.bn1.bias" in refused(path, "missing nothing", depth=18)


def test_wrong_shapes_nan_and_a_missing_layer_are_refused(tmp_path, medicalnet):
    path = tmp_path / "odd.pth"
    state = hollow(10)
    torch.save({"state_dict": state | {"module.conv1.weight": torch.zeros(64, 3, 7, 7, 7)}}, path)
    refused(path, r"conv1.weight \(64, 3, 7, 7, 7\) instead of \(64, 1, 7, 7, 7\)")
    torch.save({"state_dict": state | {"module.bn1.bias": torch.full((64,), torch.nan)}}, path)
    refused(path, "NaN or infinite weights: bn1.bias")
    torch.save({"state_dict": {k: v for k, v in state.items() if k != "module.bn1.bias"}}, path)
    refused(path, "missing bn1.bias; unexpected nothing")
    torch.save(state, path)
    refused(path, "expected a dict with the key state_dict, found a dict with module")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (7, torch.zeros(1), "names that are no text: 7"),
        ("bn1.bias", torch.zeros(64).to_sparse(), r"no weights: bn1.bias \(sparse_coo"),
        ("bn1.bias", torch.zeros(64, device="meta"), r"bn1.bias \(without values"),
        ("bn1.bias", torch.zeros(64).bool(), r"bn1.bias \(bool instead of float32"),
        (
            "bn1.bias",
            torch.zeros(64).to(torch.complex64),
            r"bn1.bias \(complex64 instead of float32",
        ),
        ("bn1.running_var", -torch.ones(64), "variances below 0: bn1.running_var"),
    ],
)
def test_what_are_no_weights_is_refused_by_name(tmp_path, medicalnet, name, value, message):
    state = torch.load(medicalnet, weights_only=True)["state_dict"]
    path = tmp_path / "resnet_10_23dataset.pth"
    torch.save({"state_dict": state | {f"module.{name}" if name != 7 else 7: value}}, path)
    refused(path, message)


def test_damaged_files_are_refused(tmp_path, medicalnet):
    path = tmp_path / "cut.pth"
    path.write_bytes(medicalnet.read_bytes()[:2_000_000])
    refused(path, "damaged or cut short")
    path.write_bytes(b"")
    refused(path, "cut short or damaged")
    path.write_text("<html>404</html>")
    refused(path, "cut.pth")


def test_a_flipped_bit_is_noticed(tmp_path, medicalnet):
    """torch itself reads it as another weight, without a word."""
    content = bytearray(medicalnet.read_bytes())
    path = tmp_path / "flipped.pth"
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)
    refused(path, r"the checksum of \S+ in it is wrong; download")


@pytest.mark.timeout(20)
def test_weights_that_never_end_are_refused_at_once(tmp_path):
    path = tmp_path / "resnet_10_23dataset.pth"
    os.mkfifo(path)
    with pytest.raises(NoInput, match="it is a pipe, not a file"):
        check_weights(SECTION, 1, path)
    with pytest.raises(NoInput, match="it is a device, not a file"):
        check_weights(SECTION, 1, Path("/dev/zero"))


class Trap:
    """Makes a folder when unpickled."""

    def __init__(self, where):
        self.where = where

    def __reduce__(self):
        return os.mkdir, (str(self.where),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    path, proof = tmp_path / "trap.pth", tmp_path / "proof"
    for zipped in (True, False):
        torch.save(
            {"state_dict": hollow(10) | {"module.x": Trap(proof)}},
            path,
            _use_new_zipfile_serialization=zipped,
        )
        assert "posix.mkdir" in refused(path, "refused: reading it would run code")
    path.write_bytes(pickle.dumps({"state_dict": Trap(proof)}))
    refused(path, "would run code")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap(proof)))
        archive.writestr("archive/version", "3")
    refused(path, "trap.pth")
    assert not proof.exists()


def test_a_file_is_asked_for_and_never_fetched(tmp_path):
    network = build_network(SECTION, 1)
    with pytest.raises(NoInput, match=r"--weights FILE") as caught:
        load_weights(network, SECTION, 1, None)
    assert "github.com/Tencent/MedicalNet" in str(caught.value)
    with pytest.raises(NoInput, match="is not there"):
        load_weights(network, SECTION, 1, tmp_path / "none.pth")


def test_random_weights_only_when_the_recipe_says_so(medicalnet):
    random = Network(name="resnet", depth=10, start="random")
    assert load_weights(build_network(random, 1), random, 1, None).kind == "random"
    with pytest.raises(UsageError, match="but the recipe says"):
        load_weights(build_network(random, 1), random, 1, medicalnet)
    dense = Network(name="densenet", depth=121, start="medicalnet")
    with pytest.raises(UsageError, match="MedicalNet has no densenet"):
        load_weights(build_network(dense, 1), dense, 1, medicalnet)
    with pytest.raises(UsageError, match="trained on one channel"):
        load_weights(build_network(SECTION, 2), SECTION, 2, medicalnet)


def test_weights_come_from_the_file_the_folder_or_the_image(tmp_path, monkeypatch):
    folder, carried = tmp_path / "mine", tmp_path / "carried"
    for place in (folder, carried):
        place.mkdir()
        (place / "resnet_10_23dataset.pth").touch()
    monkeypatch.delenv(CARRIED, raising=False)
    assert weights_file(SECTION, None) is None
    assert weights_file(SECTION, tmp_path / "any.pth") == tmp_path / "any.pth"
    assert weights_file(SECTION, folder) == folder / "resnet_10_23dataset.pth"
    monkeypatch.setenv(CARRIED, str(carried))
    assert weights_file(SECTION, None) == carried / "resnet_10_23dataset.pth"
    assert weights_file(SECTION, folder) == folder / "resnet_10_23dataset.pth"
    deeper = Network(name="resnet", depth=18, start="medicalnet")
    assert weights_file(deeper, None) is None
    assert weights_file(Network(name="resnet", depth=10, start="random"), None) is None


def test_weights_are_carried_into_the_folder_of_the_image(medicalnet, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv(CARRIED, str(tmp_path / "weights"))
    there, absent = medicalnet.as_uri(), (tmp_path / "resnet_18_23dataset.pth").as_uri()
    assert carry([f"{there} {absent}"]) == 0
    assert weights_file(SECTION, None).read_bytes() == medicalnet.read_bytes()
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [medicalnet.name]
    assert f"NOT carried: {absent}" in capfd.readouterr().err

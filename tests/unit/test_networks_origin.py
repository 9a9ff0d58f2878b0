"""Whom a file of weights has seen: by its hash, by what is written in it, by a person's word."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from bidsapp.errors import BadData, UsageError
from bidsapp.networks import origin
from bidsapp.networks.carried_hashes import add_images
from bidsapp.networks.origin import (
    cohort_metadata,
    initial_weights,
    origin_of,
    require_origin,
    resting_on_word,
    seen_people,
    weights_words,
)
from bidsapp.networks.registry import build_network
from bidsapp.networks.weights import load_weights
from bidsapp.recipes.network import Network, Origin
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe, train_and_score

SECTION = Network(name="resnet", depth=10, stem_stride=2, stem_pool=True, start="file")
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


def stating(participants: str) -> Network:
    told = Origin(dataset="the Heads of Somewhere", participants=participants)  # type: ignore[arg-type]
    return SECTION.model_copy(update={"origin": told})


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the right tensors, of which nothing is known."""
    path = tmp_path_factory.mktemp("foreign") / "resnet_10_23dataset.pth"
    torch.save({"state_dict": build_network(SECTION, 1, seed=9).state_dict()}, path)
    return path


def own(folder: Path, images: list[str], began_with: Path | None = None) -> Path:
    """A file as the app writes its models."""
    path = folder / "model.safetensors"
    state = build_network(SECTION, 1, seed=5).state_dict()
    safetensors.torch.save_file(state, path, metadata=cohort_metadata(images, began_with, ""))
    return path


def test_a_file_of_unknown_origin_needs_a_word_and_says_which(foreign: Path) -> None:
    with pytest.raises(UsageError) as caught:
        require_origin(SECTION, foreign)
    text = str(caught.value)
    assert origin_of(foreign).sha256 in text
    for words in ("network.origin.dataset=", "network.origin.participants=disjoint", "LEAK?"):
        assert words in text
    require_origin(stating("unknown"), foreign)


def test_a_published_file_is_known_by_its_hash_alone(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {len(one) for one in origin.PUBLISHED} == {64}
    assert sorted(origin.PUBLISHED.values()) == sorted(
        f"resnet_{depth}_23dataset.pth" for depth in (10, 18, 34, 50)
    )
    told = initial_weights(stating("disjoint"), foreign).plain()
    assert "chen2019" not in weights_words(told, " [@chen2019]")
    monkeypatch.setattr(origin, "PUBLISHED", {origin_of(foreign).sha256: foreign.name})
    require_origin(SECTION, foreign)
    known = initial_weights(SECTION, foreign).plain()
    assert "weights pretrained by MedicalNet [@chen2019]" in weights_words(known, " [@chen2019]")
    assert not resting_on_word(known)


@given(
    sha256=HEX,
    kind=st.sampled_from(["medicalnet", "file", "nocicast"]),
    participants=st.sampled_from(["", "disjoint", "unknown", "overlap"]),
    word=st.sampled_from(["", "images", "user"]),
)
def test_no_other_hash_is_cited_as_medicalnet(
    sha256: str, kind: str, participants: str, word: str
) -> None:
    weights = {
        "kind": kind,
        "file": "resnet_18_23dataset.pth",
        "sha256": sha256,
        "participants": participants,
        "known_by": word,
    }
    text = weights_words(weights, " [@chen2019]")
    assert "MedicalNet" not in text
    assert "chen2019" not in text
    assert sha256 in text
    assert "resnet_18_23dataset.pth" in text
    if participants == "disjoint" and word == "user":
        assert "stated by the user and was not checked" in text


def test_a_model_of_the_app_carries_its_cohort_and_that_of_its_own_start(
    tmp_path: Path, foreign: Path
) -> None:
    first = own(tmp_path, ["a" * 64, "b" * 64])
    people = {"sub-1": ("a" * 64, ""), "sub-2": ("c" * 64, "b" * 64), "sub-3": ("d" * 64, "")}
    assert seen_people(first, people) == ["sub-1", "sub-2"]
    require_origin(SECTION, first)
    assert "no image of this cohort was among" in weights_words(
        initial_weights(SECTION, first).plain()
    )
    (tmp_path / "second").mkdir()
    second = own(tmp_path / "second", ["e" * 64], first)
    assert seen_people(second, people) == ["sub-1", "sub-2"]
    # what began with weights of unknown origin is no better known than these
    (tmp_path / "third").mkdir()
    third = own(tmp_path / "third", ["e" * 64], foreign)
    with pytest.raises(UsageError, match="from weights of unknown origin"):
        require_origin(SECTION, third)
    assert seen_people(foreign, people) == []


def test_a_copy_with_more_hashes_has_the_same_tensors(tmp_path: Path) -> None:
    first, second = own(tmp_path, ["a" * 64]), tmp_path / "copy.safetensors"
    add_images(first, second, ["b" * 64, ""], "")
    assert origin_of(second).images == {"a" * 64, "b" * 64}
    before, after = (safetensors.torch.load_file(path) for path in (first, second))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    bare = tmp_path / "bare.safetensors"
    safetensors.torch.save_file(before, bare)
    add_images(bare, second, [], "")
    assert second.read_bytes() == bare.read_bytes()
    assert origin_of(second).images is None
    # as an earlier version wrote it, from weights that somebody named
    add_images(bare, second, ["b" * 64], "weights of unknown origin (x.pth)")
    assert origin_of(second).images == {"b" * 64}
    assert "x.pth" in origin_of(second).foreign
    again = safetensors.torch.load_file(second)
    assert all(torch.equal(before[name], again[name]) for name in before)


@given(st.binary(max_size=200))
def test_no_file_is_too_odd_to_be_asked(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "odd.safetensors"
        path.write_bytes(content)
        assert origin_of(path).images is None


def test_a_trained_fold_says_with_whom_it_was_made(tmp_path: Path) -> None:
    task = prepare_tasks(tmp_path, small_recipe(training={"epochs": 1}))[0]
    table = task.cohort.read_text().splitlines()
    hashes = [f"{i:064x}" for i in range(len(table) - 1)]
    lines = [f"{row}\t{one}" for row, one in zip(table, ["sha256", *hashes], strict=True)]
    task.cohort.write_text("\n".join(lines) + "\n")
    train_and_score(task)
    assert origin_of(task.model_file).images == set(hashes)
    network = build_network(SECTION, 1, seed=1)
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    load_weights(network, SECTION, 1, task.model_file)
    trained = safetensors.torch.load_file(task.model_file)
    for name, value in network.state_dict().items():
        assert torch.equal(value, fresh[name] if name.startswith("fc.") else trained[name]), name
    with safe_open(task.model_file, framework="pt") as file:
        assert json.loads(file.metadata()["nocicast_cohort"])["foreign"] == ""


def test_a_checkpoint_of_a_training_is_no_file_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"format": 2, "fingerprint": "x", "network": {}, "progress": {}}, path)
    with pytest.raises(BadData, match="checkpoint of a training that is not finished"):
        load_weights(build_network(SECTION, 1), SECTION, 1, path)

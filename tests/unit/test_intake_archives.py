"""Files of weights: every checksum of the archive counts, which torch does not look at."""

import pickle
import random
from pathlib import Path

import pytest
import torch

from bidsapp.errors import BadData
from bidsapp.intake.archives import check_archive


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    state = {f"layer{k}.weight": torch.rand(40, 9, generator=generator) for k in range(4)}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def values(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def test_a_flipped_bit_is_noticed_or_changes_no_weight(weights: Path) -> None:
    content, sound, draw = weights.read_bytes(), values(weights), random.Random(0)
    check_archive(weights)
    noticed = 0
    for _ in range(400):
        weights.write_bytes(flipped(content, draw))
        try:
            check_archive(weights)
        except BadData as error:
            assert str(weights) in str(error)  # noqa: PT017
            noticed += 1
            continue
        try:
            found = values(weights)
        except Exception:  # torch has noticed, in its own words
            continue
        assert all(torch.equal(found[key], value) for key, value in sound.items())
    assert noticed > 200


def test_every_length_that_is_cut_short_is_noticed(weights: Path) -> None:
    content = weights.read_bytes()
    for length in range(2, len(content), 211):
        weights.write_bytes(content[:length])
        with pytest.raises(BadData, match="damaged or cut short"):
            check_archive(weights)


def test_files_of_old_torch_have_no_checksums_and_pass(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    check_archive(path)
    path.write_bytes(pickle.dumps({}))
    check_archive(path)

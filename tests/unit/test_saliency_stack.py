"""Maps of all folds put together: the same bits as in memory, in a fraction of it."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.saliency.stack import MapStack, join
from bidsapp.spaces.volume import volume
from tests.unit.saliency_stacks import make_stack, rows_of

PEOPLE, CHANNELS, SHAPE = 1000, 6, (16, 18, 16)


def test_joined_maps_are_the_files_of_a_stack_that_was_put_together_in_memory(
    tmp_path: Path,
) -> None:
    rows = rows_of()
    folds = [
        make_stack(rows[rows["fold"] == fold].reset_index(drop=True), seed=fold)
        for fold in sorted(rows["fold"].unique())
    ]
    for number, fold in enumerate(folds):
        fold.write(tmp_path / str(number))
    found = join([tmp_path / str(number) for number in range(len(folds))], tmp_path / "joined")
    wanted = np.concatenate([fold.values for fold in folds])
    assert np.array_equal(found.values, wanted)
    saved = io.BytesIO()
    np.save(saved, wanted)
    assert (tmp_path / "joined/maps.npy").read_bytes() == saved.getvalue()
    ids = [name for fold in folds for name in fold.rows["participant_id"]]
    assert list(found.rows["participant_id"]) == ids
    assert found.about == folds[0].about
    assert found.channels == folds[0].channels
    assert found.space.to_dict() == folds[0].space.to_dict()


def test_a_thousand_maps_are_joined_with_little_more_than_one_in_memory(tmp_path: Path) -> None:
    """In memory they were there at once: 1,000 maps, 110 MB here, 27 GB at 30 channels and 2 mm."""
    space = volume(SHAPE, np.eye(4))
    names = tuple(f"IC{number:02d}" for number in range(CHANNELS))
    half = PEOPLE // 2
    for fold in range(2):
        rows = pd.DataFrame(
            {
                "participant_id": [f"sub-{fold * half + n:04d}" for n in range(half)],
                "session_id": "",
                "repeat": 0,
                "fold": fold,
                "outcome": np.arange(half) % 2,
                "probability": 0.5,
                "model_sha256": str(fold),
            }
        )
        values = np.full((half, CHANNELS, *SHAPE), fold, np.float32)
        MapStack(rows, values, names, space, {"method": "gradient"}).write(tmp_path / str(fold))
    del values
    all_maps = PEOPLE * CHANNELS * int(np.prod(SHAPE)) * 4
    tracemalloc.start()
    found = join([tmp_path / "0", tmp_path / "1"], tmp_path / "joined")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < all_maps / 25
    assert (found.values[[0, half - 1, half, -1], 0, 0, 0, 0] == [0, 0, 1, 1]).all()

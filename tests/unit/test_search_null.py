"""Of noise, a choice inside training folds finds nothing, and one by held-out results does.

``python -m tests.unit.test_search_null 11`` prints the figures of that many cohorts;
docs/how-to/tune-without-a-leak.md has those of eleven.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.training.passing import score_and_forget
from bidsapp.training.search_choice import searched
from bidsapp.training.search_metric import metric_of
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe

GRID = {
    "training.lr": [{"head": rate, "backbone": rate} for rate in (1e-4, 1e-3)],
    "training.weight_decay": [0.0, 0.1],
    "training.epochs": [2, 4, 8],
}


def recipe_of(**search):
    """Twelve settings of a VoxNet."""
    return small_recipe(
        mode="paper" if search.get("fit") == "dataset" else "strict",
        network={"name": "voxnet", "depth": 4, "stem_stride": 1, "stem_pool": False},
        training={"batch_size": 8, "precision": "float32", "search": {"grid": GRID} | search},
        representation={"kind": "volume", "plane": None, "slices": None},
        protocol={"folds": 4},
    )


def held_out_auc(folder: Path, seed: int, **search: object) -> float:
    """Mean over folds of the AUC of a cohort of noise, after a search."""
    cohort = {"n": 24, "shape": (20, 20, 20), "contrast": 0.0, "seed": seed}
    tasks = prepare_tasks(folder, recipe_of(**search), **cohort)
    done = searched(tasks, lambda task: score_and_forget(task, trial=True))
    found = []
    for task in done:
        score_and_forget(task)
        found.append(metric_of("auc", pd.read_csv(task.scores_file, sep="\t")))
    return float(np.mean(found))


def null(count: int) -> dict[str, list[float]]:
    """AUCs of cohorts of noise, chosen inside training folds and by held-out results."""
    ways = {"inside": {"inner_folds": 2}, "by results": {"fit": "dataset"}}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(count):
        for name, search in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(held_out_auc(Path(folder), seed, **search))
        told = ", ".join(f"{k} {v[-1]:.3f} (mean {np.mean(v):.3f})" for k, v in found.items())
        print(f"{seed + 1} of {count}: {told}", flush=True)
    return found


@pytest.mark.slow
def test_of_noise_a_choice_inside_finds_nothing_and_one_by_results_does():
    found = null(6)
    inside, outside = (np.array(values) for values in found.values())
    assert abs(inside.mean() - 0.5) < 3 * 0.12 / np.sqrt(len(inside))
    assert (outside - inside).mean() > 0.05


if __name__ == "__main__":
    for way, values in null(int(sys.argv[1])).items():
        print(f"{way}: mean {np.mean(values):.3f}, SD {np.std(values, ddof=1):.3f}")

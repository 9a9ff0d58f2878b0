"""What ten folds of group ICA cost beside one ICA over all people, and how cost grows with them.

python -m tests.benchmarks.group_ica SCRATCH [--people 43] [--volumes 200] [--voxels 230000]
    seconds of CPU and peak memory of one ICA over all people and of ten folds, in one run
python -m tests.benchmarks.group_ica SCRATCH --growth 125 250 500 1000 --voxels 2000
    seconds of a fold over so many people's reductions, and the exponent
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from bidsapp.representation.components.group_ica import group_ica
from bidsapp.representation.components.reduction import reduce_person
from bidsapp.representation.components.whitening import LARGEST_SQUARE, pair_products

FOLDS = 10


def networks(count: int, voxels: int) -> np.ndarray:
    """Overlapping patches of brain, float32, shape (count, voxels)."""
    rng = np.random.default_rng(0)
    maps = np.zeros((count, voxels), np.float32)
    for row in maps:
        for start in rng.integers(0, voxels * 9 // 10, 3):
            row[start : start + voxels // 40] += rng.uniform(0.5, 1.5)
    return maps


def person(number: int, maps: np.ndarray, volumes: int) -> np.ndarray:
    """One person's series, shape (volumes, voxels)."""
    rng = np.random.default_rng((1, number))
    courses = rng.standard_normal((volumes, len(maps)), np.float32)
    return courses @ maps + rng.standard_normal((volumes, maps.shape[1]), np.float32)


def reduced(
    scratch: Path, people: int, maps: np.ndarray, volumes: int, keep: int
) -> tuple[np.ndarray, float]:
    """All people's reductions on disk, float16 (people, keep, voxels), and seconds spent."""
    path = scratch / "reductions.npy"
    shape = (people, keep, maps.shape[1])
    store = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    spent = 0.0
    for number in range(people):
        series = person(number, maps, volumes)
        start = time.process_time()
        store[number] = reduce_person(series, keep).components
        spent += time.process_time() - start
    store.flush()
    print(f"reductions of {people} people: {spent:.1f} s", flush=True)
    return store, spent


def folds_beside_one(scratch: Path, arguments: argparse.Namespace) -> None:
    """Time one ICA over all people, and ten folds, from the same reductions."""
    maps = networks(arguments.components, arguments.voxels)
    store, shared = reduced(scratch, arguments.people, maps, arguments.volumes, arguments.keep)
    begin = time.process_time()
    products = pair_products(store)
    pairs = time.process_time() - begin
    print(f"products of pairs: {pairs:.1f} s", flush=True)
    everybody = np.arange(arguments.people)

    def fit(rows: np.ndarray, fold: int) -> float:
        begin = time.process_time()
        found = group_ica(store, rows, arguments.components, (0, fold), products=products)
        spent = time.process_time() - begin
        r = np.abs(np.corrcoef(found.maps, maps)[: len(found.maps), len(found.maps) :])
        print(
            f"fold {fold}: {len(rows)} people, {spent:.1f} s, settled {found.settled}, "
            f"networks found {(r.max(axis=0) > 0.8).sum()}",
            flush=True,
        )
        return spent

    one = shared + pairs + fit(everybody, FOLDS)
    folds = (
        shared
        + pairs
        + sum(fit(everybody[everybody % FOLDS != fold], fold) for fold in range(FOLDS))
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"one ICA {one:.0f} s, ten folds {folds:.0f} s: {folds / one:.2f} times; {peak:.2f} GB")


def growth(scratch: Path, arguments: argparse.Namespace) -> None:
    """Time a fold over more and more people."""
    maps = networks(arguments.components, arguments.voxels)
    spent = []
    for people in arguments.growth:
        store, _ = reduced(scratch, people, maps, arguments.volumes, arguments.keep)
        begin = time.process_time()
        products = None
        if people * arguments.keep <= min(arguments.voxels, LARGEST_SQUARE):
            products = pair_products(store)
        group_ica(store, np.arange(people), arguments.components, 0, products=products)
        spent.append(time.process_time() - begin)
        print(f"fold over {people} people: {spent[-1]:.1f} s", flush=True)
    exponent = np.polyfit(np.log(arguments.growth), np.log(spent), 1)[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"exponent {exponent:.2f}; {peak:.2f} GB")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--people", type=int, default=43)
    parser.add_argument("--volumes", type=int, default=200)
    parser.add_argument("--voxels", type=int, default=230_000)
    parser.add_argument("--components", type=int, default=30)
    parser.add_argument("--keep", type=int, default=64)
    parser.add_argument("--growth", type=int, nargs="+")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    (growth if arguments.growth else folds_beside_one)(arguments.scratch, arguments)
    (arguments.scratch / "reductions.npy").unlink()


if __name__ == "__main__":
    main()

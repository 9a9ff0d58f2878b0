"""What a training step costs whose images are streamed, as a small --mem has it, and the models.

Run as ``python -m tests.benchmarks.streaming [--people N] [--rounds N]``. The same study of whole
brains of 2 mm goes through the group level from the command line, with much memory and with 1 GB,
which is what the libraries take: no room is left for images. A step is the difference in time
between runs of many and of few epochs, so that starting up does not count.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 1.3
"""A streamed step may take so many times what a resident one takes."""
RECIPE = """
name: streaming
summary: A compact network on whole brains
outcome: {column: chronic, positive: ["yes"]}
preparation: {modality: t1w, resolution: 2}
representation: {kind: volume}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {batch_size: 4, precision: float32, augmentation: {flip: 0.5}}
protocol: {kind: holdout, test_size: 0.25}
evaluation: {tests: [], baselines: [majority], permutations: 10, bootstrap: 0}
"""
FEW, MANY = 1, 5


def main() -> int:
    """Compare both; 1 where a step costs too much, or the models differ."""
    from tests.integration.group_studies import make_study

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_study(root, given.people)
        (root / "small.yaml").write_text(RECIPE)
        spent = {}
        for number in range(given.rounds):
            for memory in (20, 1) if number % 2 == 0 else (1, 20):
                for epochs in (FEW, MANY):
                    label = f"mem{memory}_epochs{epochs}_{number}"
                    spent[memory, epochs, number] = run(root, label, memory, epochs)
        return tell(root, spent, given.people, given.rounds)


def run(root: Path, label: str, memory: int, epochs: int) -> float:
    """Run the group level anew; seconds that its one fold took, as the fold says itself.

    A worker's CPU time is not its parent's to see: workers are forked by a server and end with it.
    """
    arguments = [
        *("--recipe", root / "small.yaml", "--no-saliency", "--run-label", label, "--nprocs", 1),
        *("--mem", memory, "--device", "cpu", "--set", f"training.epochs={epochs}"),
    ]
    command = [sys.executable, "-m", "bidsapp", root / "bids", root / "out", "group", *arguments]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return float(str(record(root, label)["seconds"]))


def record(root: Path, label: str) -> dict[str, object]:
    """What was noted of the one fold of a run."""
    (path,) = (root / "out" / "work").glob(f"**/{label}/**/fold.json")
    return dict(json.loads(path.read_text()))


def tell(root: Path, spent: dict[tuple[int, int, int], float], people: int, rounds: int) -> int:
    """Say what a step takes either way, and whether the models are the same."""
    last = {memory: record(root, f"mem{memory}_epochs{MANY}_0") for memory in (20, 1)}
    assert [last[memory]["cohort_streamed"] for memory in (20, 1)] == [False, True]
    roles = last[1]["participants"]
    assert isinstance(roles, dict)
    steps = -(-int(roles["train"]) // 4) * (MANY - FEW)
    took = {
        memory: min(
            (spent[memory, MANY, number] - spent[memory, FEW, number]) / steps
            for number in range(rounds)
        )
        for memory in (20, 1)
    }
    same = len({str(last[memory]["model_sha256"]) for memory in (20, 1)}) == 1
    ratio = took[1] / took[20]
    print(f"{people} people, whole brains of 2 mm, batches of 4, least of {rounds} rounds")
    print(f"resident (--mem 20)  {took[20]:6.2f} s a step")
    print(f"streamed (--mem 1)   {took[1]:6.2f} s a step, {ratio:.2f} times (bar: {MOST})")
    print(f"weights the same: {'yes' if same else 'NO'}")
    return 0 if ratio <= MOST and same else 1


if __name__ == "__main__":
    sys.exit(main())

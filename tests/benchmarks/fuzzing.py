"""What damaged files of every kind end in: a value, or a message of the app, and nothing else.

Run as ``python -m tests.benchmarks.fuzzing [--cases N] [--first SEED] [TARGET ...]``: for each kind
of file that a user gives, N damaged ones (seeds from SEED on), read in a process without a network
that a hook of the interpreter watches (tests/faults). Ends with 1 where one ended in a traceback,
took more than 10 s or 2 GB, opened a socket, ran a program or wrote outside of its folder.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.folder_targets import ALL
from tests.faults.test_fuzz import without_network


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print a line for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which; default: all")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    start, counts = without_network(), {"read": 0, "refused": 0, "BROKEN": 0}
    print(f"seeds {given.first} to {given.first + given.cases - 1} of each kind; network: "
          f"{'none (unshare -n)' if start else 'watched by the hook alone'}")  # fmt: skip
    print(f"{'file':<40}{'read':>8}{'refused':>9}{'broken':>8}{'CPU s':>8}")
    for name in given.targets or ALL:
        before = _spent()
        with tempfile.TemporaryDirectory() as kept:
            words = ["--cases", given.cases, "--first", given.first, "--keep", Path(kept) / "found"]
            done = subprocess.run(
                [*start, sys.executable, "-m", "tests.faults.fuzzing", name, *map(str, words)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        ends = {end: int(n) for end, n in re.findall(r"'(\w+)': (\d+)", done.stdout)}
        if not ends:
            raise SystemExit(f"{name}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        counts = {end: number + ends.get(end, 0) for end, number in counts.items()}
        told = f"{name} ({ALL[name].name})"
        numbers = "".join(f"{ends.get(end, 0):>{9 if end == 'refused' else 8}}" for end in counts)
        print(f"{told:<40}{numbers}{_spent() - before:>8.1f}", flush=True)
        for line in re.findall(r"^seed .*$", done.stdout, re.MULTILINE):
            print(f"  {line}", flush=True)
    numbers = "".join(f"{n:>{9 if end == 'refused' else 8}}" for end, n in counts.items())
    print(f"{'all':<40}{numbers}")
    return int(counts["BROKEN"] > 0)


if __name__ == "__main__":
    sys.exit(main())

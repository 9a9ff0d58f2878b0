"""Runs killed at chosen and at random moments: nothing half-written, and the same bits after all.

SIGKILL takes the whole process group, as a node that fails does. The moments are drawn from those
at which an undisturbed run touches a file, phase by phase, or lie up to .2 s later; every third is
a moment of time alone. Killed runs are continued, killed again, and in the end let go on; their
folders are then compared, value by value, with that of the undisturbed run.
``NOCICAST_KILLS`` sets how many for each job, ``NOCICAST_KILLS_SEED`` which.
"""

import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.disturbed import half_written
from tests.faults.jobs import GROUP, JOBS

KILLS = int(os.environ.get("NOCICAST_KILLS", "3"))
SEED = int(os.environ.get("NOCICAST_KILLS_SEED", str(random.randrange(10**6))))

pytestmark = pytest.mark.timeout(3600)


def chosen_phases(bench: Bench, rng: random.Random) -> list[str]:
    """Phases to kill in, in the order of the run; each once where there are kills enough."""
    order = [one.name for one in bench.job.phases]
    spread = order if len(order) <= KILLS else []
    return sorted([*spread, *rng.choices(order, k=KILLS - len(spread))], key=order.index)


@pytest.mark.parametrize("bench", JOBS, ids=lambda job: job.name, indirect=True)
def test_killed_runs_end_with_the_same_bits(bench: Bench, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    place = bench.fresh(tmp_path / "shaken")
    tally: dict[str, int] = {}
    for number, phase in enumerate(chosen_phases(bench, rng)):
        rule = bench.moment(phase, rng.random(), deed="kill")
        rule["delay"] = rng.choice([0, rng.uniform(0, 0.2)])
        by_time = number % 3 == 2
        if by_time:
            ended = bench.run(place, after=rng.uniform(0.3, 1) * bench.seconds)
        else:
            ended = bench.run(place, rule)
        why = f"seed {SEED}, kill {number + 1} ({phase}): {rule}"
        assert ended.code in (0, -9), f"{why}: {ended.said}"
        if (place / "out").is_dir():
            assert not half_written(place / "out"), why
        told = "by time" if by_time else phase
        if ended.code == 0:  # what it was to be killed at had been done before
            told = "went on to the end"
            assert not bench.differs(place), why
            bench.fresh(place)
        tally[told] = tally.get(told, 0) + 1
    bench.goes_on(place, why=f"seed {SEED}")
    print(f"\n{bench.job.name}: kills {tally}, seed {SEED}; undisturbed {bench.seconds:.0f} s")


@pytest.mark.parametrize("bench", JOBS, ids=lambda job: job.name, indirect=True)
def test_sigterm_ends_within_30_s_and_says_how_to_go_on(bench: Bench, tmp_path: Path) -> None:
    """In each phase, one after the other; every second time the workers get it too (Slurm)."""
    place, mark = bench.fresh(tmp_path / "shaken"), tmp_path / "when"
    longest = 0.0
    for number, phase in enumerate(bench.job.phases):
        deed = ("term", "term_all")[number % 2]
        note = bench.moment(phase.name, 0.3, deed="shell", command=f"date +%s.%N > {mark}")
        rules = (note, bench.moment(phase.name, 0.3, deed=deed))
        ended = bench.run(place, *rules)
        if ended.code == 0:  # what it was to be stopped in had been done before
            ended = bench.run(bench.fresh(place), *rules)
        took = time.time() - float(mark.read_text())
        longest = max(longest, took)
        why = f"{phase.name}, {deed}: {ended.said}"
        assert ended.code == 75, why
        assert took < 30, why
        assert "stopped by the signal TERM" in ended.said, why
        assert "To go on, give the same command again" in ended.said, why
        assert "Traceback" not in ended.said, why
        assert not half_written(place / "out"), why
    bench.goes_on(place)
    print(f"\n{bench.job.name}: {len(bench.job.phases)} times stopped, at most {longest:.1f} s")


@pytest.mark.parametrize("bench", [GROUP], ids=["group"], indirect=True)
@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_that_the_kernel_takes_is_tried_again_and_then_said(
    bench: Bench, times: int, tmp_path: Path
) -> None:
    place = bench.fresh(tmp_path / "shaken")
    rule = {"match": r"work/(?!\S*permuted)\S*folds/base/repeat-0_fold-1/"}
    rule |= {"deed": "lose", "worker": True}
    ended = bench.run(place, *[rule | {"at": number + 1} for number in range(times)])
    if times == 1:
        assert ended.code == 0, ended.said
        assert not bench.differs(place)
        return
    assert ended.code == 75, ended.said
    assert re.search(r"killed, out of memory.*Run again to resume", ended.said)
    assert not half_written(place / "out")
    bench.goes_on(place, why="lost twice")

"""A limit on memory that the kernel keeps by killing, as batch systems and containers set it.

Needs the right to make cgroups, of kind 2 or 1. The run is put into one whose limit its workers
cross: the kernel kills them, and the run ends in words; without the limit it goes on.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.disturbed import half_written
from tests.faults.jobs import GROUP, PARTICIPANT

pytestmark = pytest.mark.timeout(3600)
_ROOTS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),
    (Path("/sys/fs/cgroup"), "memory.max", "memory.events"),
)


class Limit:
    """A cgroup whose processes may use so much memory together."""

    def __init__(self, folder: Path, events: str) -> None:
        self.folder, self._events = folder, events

    def join(self) -> None:
        """Put this process, and all that it will start, into it."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """Processes that the kernel killed in it."""
        words = (self.folder / self._events).read_text().split()
        return int(words[words.index("oom_kill") + 1])


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[[int], Limit]]:
    """Make a cgroup with a limit in MB; skips where this machine forbids it."""
    made: list[Path] = []

    def limit(megabytes: int) -> Limit:
        for root, file, events in _ROOTS:
            folder = root / f"nocicast-{os.getpid()}-{tmp_path.name}"
            try:
                folder.mkdir()
                made.append(folder)
                (folder / file).write_text(str(megabytes * 10**6))
            except OSError:
                continue
            return Limit(folder, events)
        pytest.skip("no cgroup with a limit on memory can be made here")

    yield limit
    for folder in made:
        (folder.parent / "cgroup.procs").write_text(str(os.getpid()))
        folder.rmdir()


@pytest.mark.parametrize(
    ("bench", "megabytes"),
    [(PARTICIPANT, 550), (GROUP, 1100)],
    ids=["participant", "group"],
    indirect=["bench"],
)
def test_a_worker_that_crosses_the_limit_is_told_as_that_and_a_rerun_goes_on(
    bench: Bench, megabytes: int, limited: Callable[[int], Limit], tmp_path: Path
) -> None:
    place, limit = bench.fresh(tmp_path / "shaken"), limited(megabytes)
    ended = bench.run(place, begin=limit.join)
    assert limit.kills() >= 2, ended.said  # twice: it is tried again by itself
    assert ended.code == 75, ended.said
    if bench.job == PARTICIPANT:  # known before work begins
        assert "GB can be used here: it may be stopped" in ended.said
    assert "Out of memory: the kernel stopped the process that worked on it" in ended.said
    assert "run again to resume" in ended.said
    assert "Traceback" not in ended.said
    assert not half_written(place / "out")
    bench.goes_on(place)

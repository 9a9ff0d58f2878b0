"""Two hosts of a cluster at one folder, where each sees seconds later what the other did.

Needs the right to mount, mfusepy and libfuse: the disk is `tests.faults.remote_disk`, mounted once
for each host; every job sees its host's mount under the same path. A job that loses its host goes
on at once on the other, which has not seen half of what was done; jobs of both hosts run side by
side. Each time: nothing half-written, and in the end the undisturbed run's bits.
"""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.queue import wait_until
from tests.faults.bench import Bench
from tests.faults.disturbed import Ended, disturbed, half_written
from tests.faults.jobs import GROUP, JOBS, PARTICIPANT, Job

SECONDS = float(os.environ.get("NOCICAST_SEEN_AFTER", "3"))
_NEW_MOUNTS = 0x20000  # CLONE_NEWNS

pytestmark = pytest.mark.timeout(3600)


class Hosts:
    """Two hosts, and the folder that both see."""

    def __init__(self, root: Path) -> None:
        self.server, self.shared = root / "server", root / "shared"
        self.mounts = [root / "first", root / "second"]

    def put(self, bench: Bench) -> None:
        """Lay out what a job reads, long enough ago to be seen everywhere."""
        bench.fresh(self.server)
        time.sleep(SECONDS)

    def on(self, host: int) -> Callable[[], None]:
        """What a process does to be on a host: see that host's mount as the shared folder."""
        words = ["mount", "--bind", str(self.mounts[host]), str(self.shared)]

        def begin() -> None:
            if ctypes.CDLL(None).unshare(_NEW_MOUNTS):
                raise OSError("no mount namespace can be made")
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            subprocess.run(words, check=True)

        return begin


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    pytest.importorskip(
        "mfusepy", reason="no mfusepy (make faults installs it; Debian: libfuse3-3)"
    )
    made = Hosts(tmp_path)
    for folder in (made.server, made.shared, *made.mounts):
        folder.mkdir()
    module = [sys.executable, "-m", "tests.faults.remote_disk", str(made.server)]
    log = (tmp_path / "mounts.log").open("w+")
    servers = [
        subprocess.Popen([*module, str(mount), str(SECONDS)], stdout=log, stderr=subprocess.STDOUT)
        for mount in made.mounts
    ]
    try:
        if not wait_until(lambda: all(map(os.path.ismount, made.mounts)), 20):
            log.seek(0)
            pytest.skip(f"nothing can be mounted by FUSE here: {log.read()}")
        yield made
    finally:
        for mount, server in zip(made.mounts, servers, strict=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
            server.terminate()
            server.wait(20)
        log.close()


@pytest.mark.parametrize("bench", JOBS, ids=lambda job: job.name, indirect=True)
def test_a_job_that_loses_its_host_goes_on_at_another(
    bench: Bench, hosts: Hosts, tmp_path: Path
) -> None:
    """Killed once in each phase, each time on the other host, which looked there before."""
    hosts.put(bench)
    for number, phase in enumerate(bench.job.phases):
        ended = bench.run(
            hosts.shared, bench.moment(phase.name, deed="kill"), begin=hosts.on(number % 2)
        )
        assert ended.code in (0, -9), f"{phase.name}: {ended.said}"
        assert not half_written(hosts.server / "out"), phase.name
    ended = bench.run(hosts.shared, begin=hosts.on(len(bench.job.phases) % 2))
    assert ended.code == 0, ended.said
    found = bench.differs(hosts.server)
    assert not found, found


def side_by_side(bench: Bench, hosts: Hosts, *arguments: list[object]) -> list[Ended]:
    """Run the job on both hosts at once, with arguments of each."""
    ended: list[Ended | None] = [None, None]

    def work(host: int) -> None:
        words = [*bench.job.arguments(hosts.shared, bench.trained), *arguments[host]]
        journal = hosts.shared.parent / f"journal-{host}"
        ended[host] = disturbed(words, [hosts.shared], journal, begin=hosts.on(host))

    threads = [threading.Thread(target=work, args=(host,)) for host in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for one in ended if one is not None]


@pytest.mark.parametrize(
    ("bench", "told"),
    [
        (GROUP, "Another process is at work on"),
        (PARTICIPANT, "Another run is at work on this image"),
    ],
    ids=lambda one: one.name if isinstance(one, Job) else None,
    indirect=["bench"],
)
def test_the_same_job_on_two_hosts_at_once_writes_its_files_once(
    bench: Bench, told: str, hosts: Hosts
) -> None:
    hosts.put(bench)
    ends = side_by_side(bench, hosts, [], [])
    assert 0 in {one.code for one in ends}, ends
    for one in ends:
        assert one.code == 0 or (one.code == 75 and told in one.said), one.said
    assert not half_written(hosts.server / "out")
    found = bench.differs(hosts.server)
    assert not found, found


@pytest.mark.parametrize("bench", [PARTICIPANT], ids=["participant"], indirect=True)
def test_people_prepared_on_two_hosts_at_once_are_all_in_the_overview(
    bench: Bench, hosts: Hosts
) -> None:
    hosts.put(bench)
    labels = (["--participant-label", "01"], ["--participant-label", "02"])
    ends = side_by_side(bench, hosts, *labels)
    assert [one.code for one in ends] == [0, 0], ends
    assert not half_written(hosts.server / "out")
    overview = (hosts.server / "out" / "quality.html").read_text()
    assert "sub-01.html" in overview
    assert "sub-02.html" in overview
    rows = (hosts.server / "out" / "group" / "quality.tsv").read_text().splitlines()
    assert len(rows) == 3, rows
    again = bench.run(hosts.shared, begin=hosts.on(0))
    assert again.code == 0, again.said
    for label in ("01", "02"):  # a page says the command that made it
        page = hosts.server / "out" / f"sub-{label}.html"
        page.write_text(page.read_text().replace(f" --participant-label {label}", ""))
    found = bench.differs(hosts.server)
    assert not found, found

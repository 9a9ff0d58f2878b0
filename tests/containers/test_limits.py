"""Memory and CPUs: the peak of each level, a run in 4 GB, and no more threads than asked."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.containers.engine import QUICK_STUDY, TIMEOUT, given_to, run_image
from tests.containers.meter import Reading, metered

pytestmark = pytest.mark.timeout(2 * TIMEOUT, func_only=True)

DATA, OUT = "/data:ro", "/out"


def ran(
    tmp_path: Path, out: Path, dataset: Path, level: str, arguments: Sequence[object]
) -> tuple[Reading, str]:
    """Run a level under a limit of 4 GB."""
    identity = tmp_path / f"{level}.id"
    options = f"--memory 4g --memory-swap 4g --cidfile {identity}"
    with metered(identity) as reading:
        done = run_image(
            "/data",
            "/out",
            level,
            *arguments,
            mounts={DATA: dataset, OUT: out},
            options=options,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    print(
        f"\n{level} {' '.join(map(str, arguments[-2:]))}: peak {reading.peak_bytes / 1e9:.2f} GB, "
        f"{reading.cpu_s:.0f} CPU s in {reading.wall_s:.0f} s, at most {reading.most_cpus:.2f} CPUs"
    )
    return reading, done.stdout


def test_two_real_people_in_4_gigabytes_and_one_thread(
    image: str, two_people: Path, owned, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    arguments = ("--nprocs", 1)
    reading, said = ran(tmp_path, owned("out", 1000), two_people, "participant", arguments)
    assert "2 of 2 normalised" in said
    assert 0.5e9 < reading.peak_bytes < 3e9
    # the process that waits for the worker looks about now and then
    assert reading.cpu_s < 1.15 * reading.wall_s


def test_the_group_level_in_4_gigabytes(
    normalised: Path, phantom: Path, owned, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    """All CPUs, as many processes as the memory allows by the app's own planning."""
    out = given_to(normalised, owned("out", 1000), 1000)
    arguments = (*QUICK_STUDY, "--speed", "fast")
    reading, said = ran(tmp_path, out, phantom, "group", arguments)
    assert "8 scans" in said
    assert reading.peak_bytes < 4e9


def test_a_run_that_the_kernel_takes_memory_from_says_so_and_goes_on(
    two_people: Path, owned, image: str
) -> None:  # type: ignore[no-untyped-def]
    """The cgroup's limit kills the worker, as a batch system's does; the same command goes on.

    At 600 MB, near to what a head takes, the kernel kills nothing for minutes: it takes the pages
    of the libraries, which are read again from the disk all the time.
    """
    out = owned("out", 1000)
    mounts = {DATA: two_people, OUT: out}
    arguments = ("/data", "/out", "participant", "--nprocs", 1, "--skip-bids-validation")
    done = run_image(*arguments, mounts=mounts, options="--memory 450m --memory-swap 450m")
    assert done.returncode == 75, done.stdout + done.stderr
    assert "GB can be used here: it may be stopped" in done.stderr
    assert "Out of memory: the kernel stopped" in done.stderr
    assert "Traceback" not in done.stderr
    done = run_image(*arguments, mounts=mounts, options="--memory 4g --memory-swap 4g")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 normalised" in done.stdout

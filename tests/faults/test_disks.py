"""Disks that fill up, turn read-only or lose files, clocks that go back, many jobs at once.

Needs the right to mount: the disks are real ones, a tmpfs that is filled to the last byte at a
chosen moment and an ext4 in a file whose driver is told of an error, so that it turns read-only
under the files that are open. Each time: words that name the file or the folder, the exit code,
nothing half-written, and a rerun that ends with the undisturbed run's bits.
"""

import glob
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.disturbed import half_written
from tests.faults.jobs import GROUP, JOBS, MODEL, PARTICIPANT, PREDICTION, VALIDATION, Job
from tests.faults.meddling.sitecustomize import FILLER

JOBS_AT_ONCE = int(os.environ.get("NOCICAST_JOBS_AT_ONCE", "4"))

pytestmark = pytest.mark.timeout(3600)


def _sh(command: str) -> bool:
    return subprocess.run(command, shell=True, capture_output=True, check=False).returncode == 0


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a disk of a kind, ``tmpfs`` or ``ext4``; skips where this machine forbids it."""
    place = tmp_path / "disk"

    def mount(kind: str) -> Path:
        place.mkdir()
        how = "mount -t tmpfs -o size=600m tmpfs" if kind == "tmpfs" else _MAKE_EXT4
        if not _sh(f"{how.format(file=tmp_path / 'disk.img')} '{place}'"):
            pytest.skip(f"no {kind} can be mounted here")
        return place

    yield mount
    _sh(f"umount -l '{place}'")


_MAKE_EXT4 = (
    "truncate -s 600M '{file}' && mkfs.ext4 -q -F '{file}' && "
    "mount -o loop,errors=remount-ro '{file}'"
)


def on_disk(bench: Bench, place: Path, disk: Path, where: str) -> None:
    """Copy what a job reads; its output or its work folder lies on a disk of its own."""
    bench.fresh(place)
    (place / "out").mkdir(exist_ok=True)
    own = place / "out" if where == "out" else place / "out" / "work"
    if own.is_dir():
        shutil.copytree(own, disk / where)
        shutil.rmtree(own)
    else:
        (disk / where).mkdir()
    own.symlink_to(disk / where)
    os.sync()  # what was there before the run is on the disk, and not only on its way to it


PHASES = {
    (PARTICIPANT, "out"): ("begin", "files of a person", "pages"),
    (PARTICIPANT, "work"): ("steps",),
    (GROUP, "out"): (
        *("cohort and splits", "scores", "evaluation", "models"),
        *("maps of people", "maps of the group", "reports"),
    ),
    (GROUP, "work"): ("arrays", "training", "permutations"),
    (PREDICTION, "out"): ("files of a person", "predictions", "pages"),
    (VALIDATION, "out"): ("state", "evaluation", "reports"),
}


@pytest.mark.parametrize(
    ("bench", "where"),
    list(PHASES),
    ids=lambda told: told.name if isinstance(told, Job) else told,
    indirect=["bench"],
)
def test_a_disk_that_fills_up_is_told_and_a_rerun_goes_on(
    bench: Bench, where: str, mounted: Callable[[str], Path], tmp_path: Path
) -> None:
    disk, place = mounted("tmpfs"), tmp_path / "shaken"
    on_disk(bench, place, disk, where)
    for phase in PHASES[bench.job, where]:
        rule = bench.moment(phase, 0.2, deed="fill", place=str(disk))
        ended = bench.run(place, rule, more=[disk])
        why = f"{phase}: {ended.said}"
        assert (disk / FILLER).exists(), why
        assert ended.code == 74, why
        assert re.search(r"No space left on device|Writing .* failed", ended.said), why
        assert "Traceback" not in ended.said, why
        assert not half_written(place / "out"), why
        (disk / FILLER).unlink()
    bench.goes_on(place, more=[disk])


@pytest.mark.parametrize(
    ("bench", "where"),
    list(PHASES),
    ids=lambda told: told.name if isinstance(told, Job) else told,
    indirect=["bench"],
)
def test_a_disk_that_turns_read_only_is_told(
    bench: Bench, where: str, mounted: Callable[[str], Path], tmp_path: Path
) -> None:
    disk, place, image = mounted("ext4"), tmp_path / "shaken", tmp_path / "disk.img"
    on_disk(bench, place, disk, where)
    for phase in PHASES[bench.job, where]:
        device = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", disk], capture_output=True, text=True, check=True
        ).stdout.strip()
        trigger = f"echo 1 > /sys/fs/ext4/{Path(device).name}/trigger_fs_error"
        rule = bench.moment(phase, 0.2, deed="shell", command=trigger)
        ended = bench.run(place, rule, more=[disk])
        why = f"{phase}: {ended.said}"
        assert ended.code in (73, 74), why
        assert re.search(r"[Rr]ead-only file system", ended.said), why
        assert "Traceback" not in ended.said, why
        assert not half_written(place / "out"), why
        assert _sh(f"umount '{disk}'")
        _sh(f"fsck.ext4 -y '{image}'")  # ends with 1 where it has mended something
        assert _sh(f"mount -o loop,errors=remount-ro '{image}' '{disk}'")
    bench.goes_on(place, more=[disk])


@pytest.mark.parametrize("bench", JOBS, ids=lambda job: job.name, indirect=True)
@pytest.mark.parametrize("deed", ["vanish", "replace"])
def test_an_image_that_goes_after_it_was_listed_is_told_by_name(
    bench: Bench, deed: str, tmp_path: Path
) -> None:
    place = bench.fresh(tmp_path / "shaken", linked=False)
    image, other, *_ = sorted(place.rglob("sub-*_T1w.nii.gz"))
    who = image.name.partition("_")[0]
    kept = image.read_bytes()
    rule = {"match": re.escape(str(image)), "at": 2, "read": True, "deed": deed}
    ended = bench.run(place, rule | {"other": str(other)})
    assert ended.code in (65, 66, 75), ended.said
    assert "Traceback" not in ended.said, ended.said
    assert who in ended.said, ended.said
    assert not half_written(place / "out")
    image.unlink(missing_ok=True)
    image.write_bytes(kept)
    ended = bench.run(place)
    assert ended.code == 0, ended.said
    assert not bench.differs(place)


@pytest.mark.parametrize("bench", [PREDICTION, VALIDATION], ids=lambda job: job.name, indirect=True)
@pytest.mark.parametrize("deed", ["vanish", "replace"])
def test_weights_that_go_after_they_were_checked_are_never_answered_with(
    bench: Bench, deed: str, tmp_path: Path
) -> None:
    """As a group run does that is repeated while its model is applied."""
    shutil.copytree(bench.trained / MODEL, tmp_path / "trained" / MODEL)
    own = replace(bench, trained=tmp_path / "trained")
    first, second = sorted((own.trained / MODEL).rglob("*fold-?.safetensors"))
    kept = first.read_bytes()
    rule = {"match": re.escape(str(first)), "at": 2, "read": True, "deed": deed}
    place = bench.fresh(tmp_path / "shaken")
    ended = own.run(place, rule | {"other": str(second)}, more=[own.trained])
    assert ended.code == 75, ended.said
    state = "removed" if deed == "vanish" else "changed"
    assert f"{first.name} was {state} since the run began" in ended.said, ended.said
    assert "Traceback" not in ended.said, ended.said
    assert not half_written(place / "out")
    assert not list(place.rglob("*predictions.tsv"))
    assert not list(place.rglob("scores.tsv"))
    first.write_bytes(kept)
    bench.goes_on(place)


@pytest.mark.parametrize("bench", [PARTICIPANT, GROUP], ids=lambda job: job.name, indirect=True)
def test_a_clock_that_goes_back_an_hour_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    """Between a killed run and the one that goes on, and in the middle of that one."""
    place = bench.fresh(tmp_path / "shaken", linked=False)
    phase = bench.job.phases[len(bench.job.phases) // 2].name
    ended = bench.run(place, bench.moment(phase, deed="kill"))
    assert ended.code == -9, ended.said
    later = time.time() + 3600
    for path in place.rglob("*"):
        os.utime(path, (later, later), follow_symlinks=False)
    bench.goes_on(place, clock={"when": time.time() + bench.seconds / 2, "by": 3600})


FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


@pytest.mark.parametrize("bench", JOBS, ids=lambda job: job.name, indirect=True)
def test_a_killed_run_that_goes_on_an_hour_earlier_ends_with_the_same_bits(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By libfaketime: for the workers and the libraries too, the killed run's files lie ahead.

    Throughout the second run, as libfaketime cannot let the time go back and leave alone the
    monotonic clock, by which Python sleeps; the clock of no machine does that.
    """
    library = next(iter(glob.glob(FAKETIME)), None)
    if library is None:
        pytest.skip("no libfaketime (Debian: faketime)")
    place = bench.fresh(tmp_path / "shaken")
    phase = bench.job.phases[len(bench.job.phases) // 2].name
    ended = bench.run(place, bench.moment(phase, deed="kill"))
    assert ended.code == -9, ended.said
    for name, text in {"LD_PRELOAD": library, "FAKETIME": "-1h", "NO_FAKE_STAT": "1"}.items():
        monkeypatch.setenv(name, text)
    bench.goes_on(place)


def together(bench: Bench, place: Path, count: int) -> list[tuple[int, str]]:
    """Start a job so many times at once; exit codes and what each said."""
    jobs = [
        subprocess.Popen(
            bench.command(place), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(count)
    ]
    said = [job.communicate()[0] for job in jobs]
    return [(job.returncode, text) for job, text in zip(jobs, said, strict=True)]


@pytest.mark.parametrize(
    ("bench", "count", "told"),
    [
        (GROUP, 2, "Another process is at work on"),
        (PARTICIPANT, JOBS_AT_ONCE, "Another run is at work on this image"),
        (PREDICTION, 2, "Another run is at work on this image"),
        (VALIDATION, 2, "Another process is at work on"),
    ],
    ids=lambda one: one.name if isinstance(one, Job) else None,
    indirect=["bench"],
)
def test_the_same_job_several_times_at_once_writes_its_files_once(
    bench: Bench, count: int, told: str, tmp_path: Path
) -> None:
    place = bench.fresh(tmp_path / "shaken")
    ends = together(bench, place, count)
    assert 0 in {code for code, _ in ends}, ends
    for code, text in ends:
        assert code == 0 or (code == 75 and told in text), text
    assert not half_written(place / "out")
    assert not bench.differs(place)

"""Run benchmarks, each in a process of its own, and keep what they say.

``python -m tests.benchmarks [NAME ...]`` runs those named, or all, and prints what they print.
``--write`` stores each with date, commit and machine, and writes docs/measured.md anew.
``--list`` says what there is; ``--page`` only writes the page anew.
"""

import argparse
import datetime
import importlib.util
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.records import ROOT, Machine, Record, code_of, store, write_page
from tests.benchmarks.registry import BENCHMARKS, Benchmark, named

DATA = Path(os.environ.get("NOCICAST_TEST_DATA", ROOT.parent / "shared" / "data"))
MODULES = "tests.benchmarks."


def machine() -> Machine:
    """Processor, cores and memory of this machine."""
    cpu, flags = "unknown", ""
    if Path("/proc/cpuinfo").is_file():
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        cpu = (re.findall(r"^model name\s*: (.*)$", text, re.M) or [cpu])[0]
        flags = (re.findall(r"^flags\s*: (.*)$", text, re.M) or [""])[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Machine(cpu, cores or 1, round(memory, 1), "bf16" in flags)


def commit(root: Path = ROOT) -> str:
    """Short hash of a commit that a reader finds, with a plus where the code had changed since.

    It is the last one that is on the main branch, too: those of a branch are gone when it has
    become one commit there.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = [git("merge-base", "HEAD", main) for main in ("main", "origin/main")]
    kept = next(filter(None, found), "") or git("rev-parse", "HEAD")
    if not kept:
        return "unknown"
    code = ("--", "bidsapp", "tests/benchmarks/*.py")
    changed = git("diff", "--name-only", kept, *code) or git("status", "--porcelain", *code)
    return git("rev-parse", "--short=7", kept) + ("+" if changed else "")


def run_one(benchmark: Benchmark, places: dict[str, Path]) -> Record | None:
    """Run every command of a benchmark; nothing where one of them breaks."""
    begun, before = datetime.date.today().isoformat(), os.getloadavg()[0]
    spent, of = _children(), commit()
    commands, lines, met = [], [], True
    for arguments in benchmark.commands:
        module = MODULES + benchmark.file
        words = [word.format(**places) for word in arguments]
        shown = [word.format(**{name: name.upper() for name in places}) for word in arguments]
        commands.append(" ".join(["python", "-m", module, *shown]))
        print(f"$ {commands[-1]}", flush=True)
        code, said = _run([sys.executable, "-m", module, *words])
        if code not in (0, 1) or not said:
            return None
        lines += [_without(line, places) for line in said]
        met = met and code == 0
    minutes = (_children() - spent) / 60
    load = (round(before, 1), round(os.getloadavg()[0], 1))
    return Record(
        tuple(commands), tuple(lines), begun, of, code_of(benchmark), machine(), load,
        round(minutes, 1), met,
    )  # fmt: skip


def _run(command: list[str]) -> tuple[int, list[str]]:
    """Run a command in sight; its exit code, 2 where it broke, and the lines that it printed."""
    lines = []
    with tempfile.TemporaryFile("w+") as errors:
        environment = {"OMP_NUM_THREADS": "1"} | os.environ
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line.rstrip())
        errors.seek(0)
        wrong = errors.read()
    print(wrong, end="", file=sys.stderr)
    # Python ends with 1 after an exception, and so does a benchmark whose bars are not reached.
    return (2 if "Traceback (most recent" in wrong else process.returncode), lines


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _without(line: str, places: dict[str, Path]) -> str:
    """A line in which places stand by their names, as no other machine has these paths."""
    for name, path in places.items():
        line = line.replace(str(path), name.upper())
    return line


def missing(benchmark: Benchmark) -> str:
    """What a benchmark needs and this machine lacks; empty where nothing."""
    if (benchmark.needs("data") or benchmark.needs("ixi")) and not DATA.is_dir():
        return f"real data in {DATA} (or NOCICAST_TEST_DATA)"
    return ", ".join(name for name in benchmark.packages if not importlib.util.find_spec(name))


def normalise_ixi(folder: Path) -> None:
    """Make the output folder of the participant level that some benchmarks start from."""
    if not folder.is_dir():
        print(f"Normalising the 48 IXI heads into {folder} ...", flush=True)
        command = [sys.executable, "-m", "bidsapp", str(DATA / "ixi2mm_dev48"), str(folder)]
        subprocess.run([*command, "participant"], cwd=ROOT, check=True)


def main() -> int:
    """Run what the arguments ask for; gives 1 where something could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; default: all")
    parser.add_argument("--write", action="store_true", help="store, and write docs/measured.md")
    parser.add_argument("--page", action="store_true", help="only write docs/measured.md anew")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmarks", metavar="DIR")
    given = parser.parse_args()
    unknown = set(given.names) - {one.name for one in BENCHMARKS}
    if unknown:
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; --list names them")
    if given.page:
        write_page()
        return 0
    chosen = [named(name) for name in given.names] or list(BENCHMARKS)
    if given.list:
        for one in chosen:
            print(f"{one.name:20} about {one.minutes:g} CPU minutes  {one.title}")
        return 0
    work = given.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    # The longest path first, so that one inside another is named by its own name.
    places = {"ixi": work / "ixi", "work": work, "data": DATA.absolute()}
    failed = []
    for one in chosen:
        if lacks := missing(one):
            failed.append(f"{one.name}: this machine lacks {lacks}")
            continue
        if one.needs("ixi"):
            normalise_ixi(places["ixi"])
        record = run_one(one, places)
        if record is None:
            failed.append(f"{one.name}: broke; nothing was stored")
        elif given.write:
            store(one.name, record)
            write_page()
    for line in failed:
        print(line, file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

"""What benchmarks said, kept as one file each, and the page that is written from them.

``tests/benchmarks/records/NAME.json`` holds what one benchmark printed, with date, commit and
machine. ``NAME.md`` there holds figures of an earlier commit that were never run anew: a title,
the commit, and text. `docs/measured.md` is made of both and of nothing else.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.registry import BENCHMARKS, Benchmark

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records"
PAGE = ROOT / "docs" / "measured.md"
_PACKAGE = "tests.benchmarks"


@dataclass(frozen=True)
class Machine:
    """What a benchmark ran on.

    Attributes
    ----------
    cpu
        Model of the processor.
    cores
        Cores that this process may use.
    memory_gb
        Memory in GB.
    bfloat16
        Whether the processor has instructions for products of bfloat16.
    """

    cpu: str
    cores: int
    memory_gb: float
    bfloat16: bool

    def __str__(self) -> str:
        kind = "with" if self.bfloat16 else "without"
        return f"{self.cpu}, {self.cores} cores, {self.memory_gb:.0f} GB, {kind} bfloat16"


@dataclass(frozen=True)
class Record:
    """What one benchmark said, when, of which code, on what.

    Attributes
    ----------
    commands
        As they may be typed, with places by name.
    output
        Lines that it printed.
    date
        Day it began, ISO.
    commit
        The last one on the main branch before the code that it ran; with a plus where that had
        been changed since.
    code
        Digest of the benchmark's own files, as `code_of` gives it.
    load
        Load average of the machine before and after.
    cpu_minutes
        Of all its processes.
    bars_met
        False where the benchmark says that a bar was not reached.
    """

    commands: tuple[str, ...]
    output: tuple[str, ...]
    date: str
    commit: str
    code: str
    machine: Machine
    load: tuple[float, float]
    cpu_minutes: float
    bars_met: bool = True


def code_of(benchmark: Benchmark) -> str:
    """Digest of a benchmark's module and of those here that it imports, and of its arguments."""
    digest = hashlib.sha256(repr(benchmark.commands).encode())
    for name in sorted(_modules(benchmark.file, set())):
        digest.update((HERE / f"{name}.py").read_bytes())
    return digest.hexdigest()[:12]


def _modules(name: str, seen: set[str]) -> set[str]:
    """Names of a module here and of all here that it imports, directly or not."""
    path = HERE / f"{name}.py"
    if name in seen or not path.is_file():
        return seen
    seen.add(name)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE):
            inside = (node.module or "")[len(_PACKAGE) + 1 :]
            for one in [inside] if inside else [alias.name for alias in node.names]:
                _modules(one, seen)
    return seen


def read_record(name: str) -> Record | None:
    """Record of a benchmark, or nothing where it was never stored."""
    path = RECORDS / f"{name}.json"
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    content["machine"] = Machine(**content["machine"])
    for key in ("commands", "output", "load"):
        content[key] = tuple(content[key])
    return Record(**content)


def store(name: str, record: Record) -> None:
    """Keep a record, and drop the earlier figures that it takes the place of."""
    RECORDS.mkdir(exist_ok=True)
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False)
    (RECORDS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (RECORDS / f"{name}.md").unlink(missing_ok=True)


def write_page() -> None:
    """Write docs/measured.md anew from the records."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Text of docs/measured.md."""
    earlier = {path.stem: _earlier(path) for path in sorted(RECORDS.glob("*.md"))}
    parts = [
        "<!-- Made by `make benchmarks` from tests/benchmarks/records. -->\n",
        "# Measured\n",
        "Each section is what one benchmark printed, with the machine, the day and the commit "
        "(with a plus: and what had been changed since then). "
        "`make benchmarks` runs them all, which takes hours; `python -m tests.benchmarks NAME "
        "--write` runs one and writes this page anew. Times depend on what else the machine did: "
        "see the load beside them; CPU minutes leave out workers that a benchmark does not wait "
        "for. A section marked **older** was printed before its benchmark "
        "was changed; whatever was taken before records were kept is [at the end](#not-run-anew).",
        "",
        "| benchmark | beside | CPU minutes | last run |",
        "|---|---|---|---|",
    ]
    records = {one.name: read_record(one.name) for one in BENCHMARKS}
    parts += [_row(one, records[one.name]) for one in BENCHMARKS]
    for one in BENCHMARKS:
        if (record := records[one.name]) is not None:
            parts += ["", *_section(one, record)]
    parts += ["", "## Not run anew", ""]
    parts += [
        "Figures that were taken before records were kept, with the commit whose code they are of. "
        "Code has changed since; no command has confirmed them. Figures on other pages (statistics,"
        " leakage, the how-to pages) are of the commit that wrote their line.",
    ]
    for title, commit, text in earlier.values():
        parts += ["", f"### {title}", "", f"*As of {commit}; not run anew since.*", "", text]
    return "\n".join(parts) + "\n"


def _row(one: Benchmark, record: Record | None) -> str:
    title = one.title if record is None else f"[{one.title}](#{_anchor(one.title)})"
    last = "not stored yet" if record is None else f"{record.date}{_older(one, record)}"
    return f"| `{one.name}`: {title} | {one.peer} | {one.minutes:g} | {last} |"


def _section(one: Benchmark, record: Record) -> Iterator[str]:
    yield f"## {one.title}\n"
    yield one.shows + (f" Beside it: {one.peer}." if one.peer else "")
    yield ""
    before, after = record.load
    yield (
        f"{record.date}{_older(one, record)}, commit {record.commit}; {record.machine}; load "
        f"{before:.1f} before and {after:.1f} after; {record.cpu_minutes:.1f} CPU minutes"
        + (" (busy, and wall times mean little then)" if one.alone and max(record.load) > 1 else "")
        + "."
    )
    if not record.bars_met:
        yield "\nA bar that the benchmark sets itself was **not reached**."
    yield "\n```"
    yield from (f"$ {command}" for command in record.commands)
    yield from (line.replace("```", "'''") for line in record.output)
    yield "```"


def _older(one: Benchmark, record: Record) -> str:
    return "" if record.code == code_of(one) else ", **older**"


def _anchor(heading: str) -> str:
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in "- _")
    return "-".join(kept.split())


def _earlier(path: Path) -> tuple[str, str, str]:
    title, commit, text = path.read_text(encoding="utf-8").split("\n", 2)
    return title.removeprefix("title: "), commit.removeprefix("commit: "), text.strip()

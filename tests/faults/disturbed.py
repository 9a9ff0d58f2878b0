"""Runs of the app that are disturbed on the way, and what has to hold of their folders."""

import gzip
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compare_outputs import differences
from tests.integration.running import command, environment

MEDDLING = Path(__file__).parent / "meddling"
LIMIT = 900
# A run's past is told there: that it was disturbed, and what it cost in all.
PAST = ("*/logs/*", "logs/*", "*.lock", "work/*")


@dataclass(frozen=True)
class Ended:
    """How a disturbed run ended."""

    code: int
    said: str
    journal: list[str]


def disturbed(
    arguments: Sequence[object],
    within: Sequence[Path],
    journal: Path,
    *rules: dict[str, Any],
    limit: float = LIMIT,
    after: float | None = None,
    begin: Callable[[], object] | None = None,
    **more: Any,
) -> Ended:
    """Run the app, disturbed as the rules say (tests/faults/meddling), in a session of its own.

    Parameters
    ----------
    arguments
        Of the command line.
    within
        Folders in which its files are counted.
    journal
        Where to keep count; made anew.
    rules
        When to do what.
    limit
        Seconds after which the test fails.
    after
        Seconds after which the whole process group is killed.
    begin
        Called in the new process, before it becomes the app.
    """
    for old in journal.parent.glob(f"{journal.name}*"):
        old.unlink()
    told = {"within": [str(p) for p in within], "journal": str(journal), "rules": rules, **more}
    path = os.pathsep.join(filter(None, (str(MEDDLING), os.environ.get("PYTHONPATH", ""))))
    own = {"NOCICAST_MEDDLE": json.dumps(told), "PYTHONPATH": path}
    # these would hide that a library sends word of its use
    asked = {name: text for name, text in environment().items() if not name.endswith("NO_ET")}
    process = subprocess.Popen(
        command(*arguments),
        env=asked | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=begin,
    )
    try:
        said, _ = process.communicate(timeout=limit if after is None else after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        assert after is not None, f"not ended in {limit} s: {said[-3000:]}"
    done = journal.read_text(errors="replace").splitlines() if journal.exists() else []
    reached = [line for line in done if line.startswith("socket")]
    assert not reached, f"the app reached out to other machines: {reached[:5]}"
    return Ended(process.returncode, said, done)


def half_written(folder: Path) -> list[str]:
    """List files that have their final names and cannot be read to their end."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if path.suffix == ".lock" or inside.parts[0] == "work":
            continue
        try:
            _read_whole(path)
        except Exception as error:
            found.append(f"{inside}: {type(error).__name__}: {error}")
    return found


def _read_whole(path: Path) -> None:
    content = path.read_bytes()
    if not content:
        raise ValueError("empty")
    if path.suffix == ".gz":
        gzip.decompress(content)
    elif path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".tsv":
        rows = content.decode().split("\n")
        if rows[-1]:
            raise ValueError("no last line end")
        if len({row.count("\t") for row in rows[:-1]}) != 1:
            raise ValueError("rows of several lengths")
    elif path.suffix == ".html" and not content.rstrip().endswith((b"</html>", b"-->")):
        raise ValueError("no </html>")
    elif path.suffix == ".svg" and not content.rstrip().endswith(b"</svg>"):
        raise ValueError("no </svg>")
    elif path.suffix == ".h5":
        import h5py

        h5py.File(path).close()
    elif path.suffix == ".safetensors":
        import safetensors.numpy

        safetensors.numpy.load_file(path)
    elif path.suffix == ".png":
        from PIL import Image

        Image.open(path).load()


@dataclass(frozen=True)
class Phase:
    """Part of a run, known by the files it handles."""

    name: str
    match: str


def moments(journal: Sequence[str], phases: Sequence[Phase]) -> dict[str, int]:
    """Count what an undisturbed run did to its files in each phase."""
    return {one.name: sum(bool(re.search(one.match, li)) for li in journal) for one in phases}


def same(calm: Path, shaken: Path, ignore: Sequence[str] = ()) -> list[str]:
    """What differs between the outputs of an undisturbed and a disturbed run."""
    return list(differences(calm, shaken, (*PAST, *ignore)))

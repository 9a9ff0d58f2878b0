"""Feed damaged files to one reader of the app: ``python -m tests.faults.fuzzing TARGET``.

Each case has a seed. What ends neither in a value nor in a message of the app is written down with
its seed, and its file is kept.
"""

import argparse
import gzip
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

from bidsapp.errors import NociCastError
from tests.faults.fuzz_targets import TARGETS, Target, unpacked
from tests.faults.mutations import damaged
from tests.faults.watched import Forbidden, TooLong, Watch, in_time, limit_memory

LONGEST_MESSAGE = 4000


def main() -> int:
    """Run one target, and tell in one line how its cases ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    asked = parser.parse_args()
    target = TARGETS[asked.target]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        target.sound(folder)
        sound = (folder / target.name).read_bytes()
        others = {
            path: path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path != folder / target.name
        }
        target.read(folder)  # a sound file is read; what is imported late is imported now
        watch = Watch(folder)
        limit_memory()
        ends: Counter[str] = Counter()
        found = []
        for seed in range(asked.first, asked.first + asked.cases):
            content = _content(target, sound, seed)
            (folder / target.name).write_bytes(content)
            if target.seal is not None:
                target.seal(folder)
            end = _end(target, folder, watch)
            ends["refused" if end == "refused" else "read" if end == "read" else "BROKEN"] += 1
            if end not in ("refused", "read"):
                found.append(f"seed {seed}: {end}")
                asked.keep.mkdir(exist_ok=True, parents=True)
                (asked.keep / f"{asked.target}-{seed}").write_bytes(content)
            for path, before in others.items():
                path.write_bytes(before)
    print(f"{asked.target}: {asked.cases} cases: {dict(ends)}")
    print("\n".join(found[:20]))
    return bool(found)


def _content(target: Target, sound: bytes, seed: int) -> bytes:
    if not target.packed or seed % 4 == 0:
        return damaged(sound, seed, target.kinds, 0 if target.packed else target.first)
    return gzip.compress(damaged(unpacked(sound), seed, target.kinds, target.first), 1)


def _end(target: Target, folder: Path, watch: Watch) -> str:
    watch.on = True
    try:
        with in_time():
            target.read(folder)
    except NociCastError as error:
        if not str(error).strip() or len(str(error)) > LONGEST_MESSAGE:
            return f"a message of {len(str(error))} characters"
        return "refused"
    except (Forbidden, TooLong, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"{type(error).__name__}: {error!s:.200} ({Path(frame.filename).name}:{frame.lineno})"
        )
    finally:
        watch.on = False
    return "read"


if __name__ == "__main__":
    sys.exit(main())

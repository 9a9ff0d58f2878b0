"""Feed damaged files to one reader of the app: ``python -m tests.faults.fuzzing TARGET``.

Each case has a seed. What ends neither in a value nor in a message of the app is written down with
its seed, and its file is kept.
"""

import argparse
import gzip
import random
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bidsapp.errors import NociCastError
from tests.faults.folder_targets import ALL
from tests.faults.fuzz_targets import Target, unpacked
from tests.faults.mutations import Damage, damaged, misplaced, of_suffix
from tests.faults.watched import Forbidden, TooLong, Watch, in_time, limit_memory

LONGEST_MESSAGE = 4000
GZIP = b"\x1f\x8b"


def main() -> int:
    """Run one target, and tell in one line how its cases ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=ALL)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    asked = parser.parse_args()
    target = ALL[asked.target]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        target.sound(folder)
        sound = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        folders = [path for path in folder.rglob("*") if path.is_dir()]
        files = sorted(path for path in folder.glob(target.name) if path.is_file())
        target.read(folder)  # a sound file is read; what is imported late is imported now
        written: dict[Path, tuple[int, ...]] = {}
        _restore(folder, sound, folders, written)
        watch = Watch(folder)
        limit_memory()
        ends: Counter[str] = Counter()
        found = []
        for seed in range(asked.first, asked.first + asked.cases):
            path = files[seed % len(files)]
            what = _damage(target, path, sound, seed)
            if target.seal is not None:
                target.seal(folder)
            end = _end(target, folder, watch)
            ends["refused" if end == "refused" else "read" if end == "read" else "BROKEN"] += 1
            if end not in ("refused", "read"):
                found.append(f"seed {seed}, {path.relative_to(folder)}: {end}")
                print(found[-1], file=sys.stderr, flush=True)
                asked.keep.mkdir(exist_ok=True, parents=True)
                (asked.keep / f"{asked.target}-{seed}").write_bytes(what)
            _restore(folder, sound, folders, written)
    print(f"{asked.target}: {asked.cases} cases: {dict(ends)}")
    print("\n".join(found[:20]))
    return bool(found)


def _damage(target: Target, path: Path, sound: Mapping[Path, bytes], seed: int) -> bytes:
    """Damage one file of the folder; gives what it holds then, nothing where it is none."""
    rng = random.Random(f"{seed} place")
    if "*" in target.name and rng.random() < 0.2:
        misplaced(path, [*sound], rng)
        return b""
    kinds = of_suffix(path.name) if "*" in target.name else target.kinds
    content = _content(target, sound[path], kinds, seed)
    path.write_bytes(content)
    return content


def _restore(
    folder: Path,
    sound: Mapping[Path, bytes],
    folders: Sequence[Path],
    written: dict[Path, tuple[int, ...]],
) -> None:
    """Make a folder what it was; what is as it was `written` the last time is left."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_symlink() or not path.is_dir():
            if path not in sound or path.is_symlink() or not path.is_file():
                path.unlink()
        elif path not in folders:
            shutil.rmtree(path)
    for path in folders:
        path.mkdir(parents=True, exist_ok=True)
    for path, content in sound.items():
        if not path.is_file() or _print(path) != written.get(path):
            path.unlink(missing_ok=True)  # a new file has a new number
            path.write_bytes(content)
            written[path] = _print(path)


def _print(path: Path) -> tuple[int, ...]:
    """What changes with every writing: the number of a file on its disk, its size, its times."""
    told = path.stat()
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


def _content(target: Target, sound: bytes, kinds: Sequence[Damage], seed: int) -> bytes:
    packed = target.packed or ("*" in target.name and sound.startswith(GZIP))
    if not packed or seed % 4 == 0:
        return damaged(sound, seed, kinds, 0 if packed else target.first)
    return gzip.compress(damaged(unpacked(sound), seed, kinds, target.first), 1)


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

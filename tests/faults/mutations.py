"""Damage done to the bytes of a sound file, the same for the same seed."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

_NUMBERS = (
    "-1",
    "0",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "1e-400",
    "9" * 5000,
    "0x10",
    "1_000",
    "12:30",
)
_WORDS = (
    "n/a",
    "",
    "null",
    "true",
    "\u202e",
    "\x00",
    "\ufeff",
    "\U0001f9e0",
    "../../etc/passwd",
    "/dev/zero",
    "\\u0000",
    "/tmp/" + "b" * 5000,
    "~root",
    "$(touch hit)",
    "<script>alert(1)</script>",
    "a" * 5000,
    "{",
    "}",
    "[" * 3000,
    "!!python/object/apply:os.system [touch hit]",
    "&a [*a]",
    "\\ud800",
    '"',
    "'",
    "\t",
    "\n",
    "\r",
    ",",
    ":",
    "#",
    "- ",
    "__import__('os').system('touch hit')",
    "9**9**9",
)
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 5, 1e300, 10**400, float("nan"), float("inf"), "", "x", "5", "\u202e"),
    *([], {}, [[]], [None], {"a": 1}, [1, 2, 3, 4], ["a", 1, None], [[1], [2, 3]], {"": {}}),
)
_FIELD = re.compile(rb"[^\t\r\n,:\[\]{}\"= ]+")
Damage = Callable[[bytearray, random.Random], None]


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))


def _cut(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 2, 4, 16, 100))]


def _end(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _double(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    part = data[start : start + rng.choice((1, 8, 64, 500))]
    data[start:start] = part * rng.choice((1, 2, 50))


def _line(data: bytearray, rng: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if rng.random() < 0.5:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(one, lines[other])
    data[:] = b"\n".join(lines)


def _put(pattern: re.Pattern[bytes], values: Sequence[str]) -> Damage:
    def damage(data: bytearray, rng: random.Random) -> None:
        found = list(pattern.finditer(bytes(data)))
        if found:
            one = rng.choice(found)
            data[one.start() : one.end()] = rng.choice(values).encode("utf-8")

    return damage


def _word(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice(_WORDS).encode("utf-8")


def _node(data: bytearray, rng: random.Random) -> None:
    """Put a value of another type anywhere into JSON or YAML, which stays well formed."""
    try:
        content = yaml.load(bytes(data), Loader=yaml.CSafeLoader)  # ten times faster
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError):
        return
    # What an earlier damage nested too deep, or into itself, is left as it is.
    with suppress(RecursionError, ValueError):
        places = list(_places(content))
        if not places:
            return
        inside, key = rng.choice(places)
        if rng.random() < 0.15:
            del inside[key]
        else:
            inside[key] = rng.choice(_VALUES)
        data[:] = json.dumps(content, default=str).encode()


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(content, dict | list):
        for key in list(content) if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from _places(content[key])


TEXT: tuple[Damage, ...] = (
    _put(_NUMBER, _NUMBERS),
    _put(_FIELD, _NUMBERS),
    _put(_FIELD, _WORDS),
    _word,
    _line,
    _cut,
    _end,
    _double,
    _byte,
    _flip,
)
STRUCTURE: tuple[Damage, ...] = (*TEXT, *(_node,) * 20)


def of_suffix(name: str) -> Sequence[Damage]:
    """What may be done to a file, by the end of its name."""
    if name.endswith((".json", ".yaml")):
        return STRUCTURE
    return TEXT if name.endswith((".tsv", ".md", ".html", ".txt", ".csv")) else BINARY


def misplaced(path: Path, others: Sequence[Path], rng: random.Random) -> None:
    """Take a file away, empty it, or put something else in its place."""
    fate = rng.randrange(7)
    path.unlink()
    if fate == 1:
        path.touch()
    elif fate == 2:
        path.mkdir()
    elif fate == 3:
        path.symlink_to(path.name)  # leads round
    elif fate == 4:
        path.symlink_to("/etc/passwd")
    elif fate == 5:
        os.mkfifo(path)
    elif fate == 6:
        shutil.copyfile(rng.choice([other for other in others if other != path]), path)


BINARY: tuple[Damage, ...] = (_flip, _byte, _byte, _cut, _end, _double)


def damaged(sound: bytes, seed: int, kinds: Sequence[Damage] = TEXT, first: int = 0) -> bytes:
    """Change a file in one to four ways.

    Parameters
    ----------
    sound
        What a sound file holds.
    seed
        The same seed gives the same damage.
    kinds
        What may happen to it.
    first
        If not 0, only so many bytes of its beginning are touched, every second time.
    """
    rng = random.Random(seed)
    head = first if first and seed % 2 else len(sound)
    data, rest = bytearray(sound[:head]), sound[head:]
    for _ in range(rng.choice((1, 1, 2, 4))):
        if data:
            rng.choice(kinds)(data, rng)
    return bytes(data) + rest

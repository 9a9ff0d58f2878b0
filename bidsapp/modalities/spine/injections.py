"""Injections: at which nerve and on which side, as people write it and as files name it."""

import re
from dataclasses import dataclass

LEVELS = ("C4", "C5", "C6", "C7", "C8")
"""Nerves whose foramina are injected; C6 leaves between the vertebrae C5 and C6."""
SIDES = ("L", "R")
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R"}


@dataclass(frozen=True, order=True)
class Injection:
    """One injection of a person.

    Attributes
    ----------
    level
        The nerve, one of `LEVELS`.
    side
        ``L`` or ``R``, the patient's own.
    """

    level: str
    side: str

    @property
    def label(self) -> str:
        """``C6-L``: the part of a person that a row of a table is about."""
        return f"{self.level}-{self.side}"

    @property
    def in_names(self) -> str:
        """``C6L``: the same in names of files, where a dash would end it."""
        return f"{self.level}{self.side}"


def read_injection(level: str, side: str) -> Injection:
    """Read level and side as people write them: ``c6``, ``6``; ``left``, ``L``.

    Raises
    ------
    ValueError
        The level is none of `LEVELS`, or the side neither left nor right; the text says what was
        expected.
    """
    return Injection(_read_level(level), _read_side(side))


def read_label(text: str) -> Injection:
    """Read ``C6-L``, ``C6L`` or ``C6_L``; raises as `read_injection`."""
    found = re.fullmatch(r"\s*([^-_]+?)[-_ ]?([LR]|left|right)\s*", text, re.IGNORECASE)
    if not found:
        raise ValueError(f"{text!r} is no injection; write nerve and side, such as C6-L")
    return read_injection(found[1], found[2])


def _read_level(text: str) -> str:
    plain = text.strip().upper()
    name = plain if plain.startswith("C") else f"C{plain}"
    if name in LEVELS:
        return name
    between = re.fullmatch(r"C(\d)[/\-–]C?(\d)", name)
    if between and int(between[2]) == int(between[1]) + 1:
        nerve = "C8" if name.startswith("C7") else f"C{between[2]}"
        raise ValueError(
            f"level {text!r} names two vertebrae; write the nerve that leaves between them, {nerve}"
        )
    raise ValueError(f"level {text!r} is not one of {', '.join(LEVELS)}")


def _read_side(text: str) -> str:
    side = _SIDES.get(text.strip().lower())
    if side is None:
        raise ValueError(f"side {text!r} is neither L nor R (the patient's own left or right)")
    return side

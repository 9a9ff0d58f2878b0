"""Numbers as people write them in tables: 89+, 34,5, 1.234,5, 30 years, a minus of a typesetter."""

import re
from dataclasses import dataclass
from typing import Literal

Mark = Literal["point", "comma"]
"""The sign before the decimals."""

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)

# Blanks, minus signs and apostrophes that spreadsheets, typesetters and PDF files put in.
_TIDY = {
    **dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\t"), " "),
    **dict.fromkeys(map(ord, "\u200b\u200e\u200f\ufeff"), ""),
    **dict.fromkeys(map(ord, "\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d"), "-"),
    ord("\u2019"): "'",
}
_UNITS = {
    "y": "y yr yrs y. yr. yrs. year years year(s) yo y.o. y/o",
    "mo": "mo mo. mos month months month(s)",
    "wk": "wk wks week weeks week(s)",
    "d": "day days day(s)",
    "h": "h hr hrs hour hours",
    "min": "min mins minute minutes",
    "s": "s sec secs second seconds",
    "ms": "ms msec",
    "kg": "kg kgs",
    "g": "g",
    "mg": "mg",
    "lb": "lb lbs",
    "cm": "cm",
    "mm": "mm",
    "m": "m",
    "ml": "ml",
    "l": "l",
    "%": "% percent",
    "t": "t tesla",
    "points": "points pts point",
}
_UNIT_OF = {"": ""} | {word: unit for unit, words in _UNITS.items() for word in words.split()}
_SHAPE = re.compile(
    r"(?P<limit>[<>]=?|=[<>]|[≤≥])? ?(?P<sign>[+-])? ?"
    r"(?P<body>\d[\d.,' ]*|[.,]\d+)(?P<power>e[+-]?\d{1,3})?(?P<rest>.*)",
    re.ASCII | re.IGNORECASE,
)
_REST = re.compile(
    r" ?(?P<plus>\+)? ?(?P<unit>[a-z%.()/]*?)(?: old)? ?(?P<more>\+)? ?"
    r"(?:(?:or|and) (?:(?P<above>older|above|more|over|up)|(?P<below>younger|below|less|under)))?"
)
_LIMITS = {"<": -2, "<=": -1, "=<": -1, "≤": -1, ">": 2, ">=": 1, "=>": 1, "≥": 1}
_SIGNS = "signs and blanks"


@dataclass(frozen=True)
class Number:
    """A number as somebody wrote it.

    Attributes
    ----------
    value
        The number; infinite where the text says so.
    how
        What it was written with, beyond digits and a decimal point: ``limit``, ``unit``,
        ``decimal comma``, ``thousands``, ``signs and blanks``, ``infinite``; empty for none.
    limit
        0 where it is the value itself; 1 where the value is that or more (``89+``), 2 where it is
        more (``>89``), -1 that or less, -2 less.
    unit
        In short; empty where none is written.
    """

    value: float
    how: str = ""
    limit: int = 0
    unit: str = ""

    def value_text(self) -> str:
        """Write the value so that every program reads it."""
        return f"{self.value:.15g}"


def number_of(text: str) -> float | None:
    """Finite number that a text plainly writes, or None: ``1``, ``1.0`` and ``1e0`` are alike."""
    if NUMBER.fullmatch(text.strip()) is None:
        return None
    value = float(text)
    return value if abs(value) != float("inf") else None


def possible_numbers(text: str) -> dict[Mark, Number]:
    """Read a text with a decimal point and with a decimal comma.

    Returns
    -------
    dict
        Empty for what is no number (``20-30``, ``1a``, a date). Both where the text allows both:
        ``1,234`` is 1234 or 1.234, and ``12`` is 12 either way.
    """
    tidy = " ".join(text.translate(_TIDY).split())
    if NUMBER.fullmatch(tidy) or _INFINITE.fullmatch(tidy):
        value = float(tidy)
        how = "infinite" if abs(value) == float("inf") else "" if tidy == text.strip() else _SIGNS
        plain = Number(value, how)
        body = tidy.lstrip("+-")
        if "." not in body or "e" in body.lower():
            return {"point": plain, "comma": plain}
        grouped = _magnitude(body, "comma")
        if grouped is None:
            return {"point": plain}
        value = -grouped[0] if tidy.startswith("-") else grouped[0]
        return {"point": plain, "comma": Number(value, "thousands")}
    shape = _SHAPE.fullmatch(tidy)
    rest = _REST.fullmatch(shape["rest"].casefold()) if shape else None
    if shape is None or rest is None or rest["unit"] not in _UNIT_OF:
        return {}
    limit = _LIMITS.get(shape["limit"] or "", 0)
    if rest["plus"] or rest["more"] or rest["above"]:
        limit = limit or 1
    elif rest["below"]:
        limit = limit or -1
    unit = _UNIT_OF[rest["unit"]]
    found: dict[Mark, Number] = {}
    marks: tuple[Mark, Mark] = ("point", "comma")
    for mark in marks:
        magnitude = _magnitude(shape["body"].strip(), mark)
        if magnitude is None:
            continue
        value, grouped_digits = magnitude
        value = float(f"{value!r}{shape['power'] or ''}") if shape["power"] else value
        decimals = mark == "comma" and "," in shape["body"]
        how = (
            ("limit" if limit else "")
            or ("unit" if unit else "")
            or ("decimal comma" if decimals else "")
            or ("thousands" if grouped_digits else _SIGNS)
        )
        found[mark] = Number(-value if shape["sign"] == "-" else value, how, limit, unit)
    return found


def _magnitude(body: str, mark: Mark) -> tuple[float, bool] | None:
    """Value of digits with a decimal sign, and whether thousands are parted; None if wrong."""
    point, comma = (".", ",") if mark == "point" else (",", ".")
    whole, decimal, decimals = body.partition(point)
    if decimal and not decimals.isdigit() and decimals:
        return None
    groups = re.split(f"[{re.escape(comma)}' ]", whole)
    if len(set(re.findall(r"[^\d]", whole))) > 1:
        return None
    if len(groups) > 1:
        first, *others = groups
        if not 1 <= len(first) <= 3 or first.startswith("0") or any(len(g) != 3 for g in others):
            return None
    if not whole and not decimals:
        return None
    if not all(group.isdigit() for group in groups if group or len(groups) > 1):
        return None
    return float(f"{''.join(groups) or '0'}.{decimals or '0'}"), len(groups) > 1

"""Numbers and lists in sentences."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol

_PROGRAMS = {"nocicast": "NociCast", "nipype": "Nipype", "picsl-greedy": "greedy"}


def joined(items: Iterable[str], last: str = "and") -> str:
    """Join as in ``a, b and c``."""
    found = list(items)
    if len(found) < 2:
        return "".join(found)
    return f" {last} ".join([", ".join(found[:-1]), found[-1]])


def many(number: int, one: str, several: str | None = None) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def counted(values: Sequence[Hashable], unit: str = "image") -> str:
    """One value, or each with how often it occurs: ``fast (2 images) and default (46 images)``."""
    counts = Counter(values)
    if len(counts) == 1:
        return str(values[0])
    return joined(f"{value} ({many(n, unit)})" for value, n in counts.most_common())


class Told(Protocol):
    """What says which version of a package made it."""

    def version_of(self, package: str) -> str:
        """Version; empty where it is not known."""


def software(package: str, made: Sequence[Told], unit: str = "image") -> str:
    """Name of a program with the version, or versions, that made some images.

    The name alone where no image says which it was.
    """
    name = _PROGRAMS.get(package, package)
    versions = [one.version_of(package) for one in made]
    if not any(versions):
        return name
    return f"{name} {counted([version or 'unknown' for version in versions], unit)}"


def ranged(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """Median with range: ``0.81 (range 0.78 to 0.84)``."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}{unit}"
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    low, high = f"{ordered[0]:.{digits}f}", f"{ordered[-1]:.{digits}f}"
    return f"{median:.{digits}f}{unit} (range {low} to {high}{unit})"


def interval(value: float, low: float, high: float, level: float, method: str) -> str:
    """``0.81 (95% CI 0.70 to 0.90, DeLong)``; the value alone where there is no interval."""
    if not low <= high:
        return f"{value:.2f}"
    how = f", {method}" if method else ""
    return f"{value:.2f} ({100 * level:g}% CI {low:.2f} to {high:.2f}{how})"


def p_value(p: float) -> str:
    """``p = 0.012``; ``p < 0.001``."""
    if below_a_thousandth(p):
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def below_a_thousandth(p: float) -> bool:
    """Tell whether a p value is less than .001 by two digits, as .000999 (1 of 1,001) is not."""
    return float(f"{p:.2g}") < 0.001

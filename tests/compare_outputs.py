"""Compare two output folders of the app: ``python -m tests.compare_outputs BEFORE AFTER``.

Tables, JSON, images, transforms, models and texts are compared value by value or byte by byte, but
for what may differ between two runs of the same work: times, durations, versions, commit, machine
and the places of the folders. Whatever differs is listed, file by file; ends with 1 if anything
does. With ``--ignore GLOB ...`` names of files that are expected to differ are left out, and said.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

# What says when, how long, where and by which version, in JSON, tables and texts.
VOLATILE_KEYS = {
    "CpuSeconds", "WallSeconds", "Seconds", "seconds", "Version", "CodeURL", "Commit", "Date",
    "Created", "created", "timestamp", "ProcessingTime", "Duration", "CPUSeconds",
}  # fmt: skip
VOLATILE_COLUMNS = {
    "seconds",
    "cpu_seconds",
    "wall_seconds",
    "started",
    "ended",
    "date",
    "time",
    "frozen_utc",
}
SKIPPED = ("work/*", "logs/*", "*/.nocicast*", "*.lock")
# What a page says that each step cost, with its bars, all of them, and each network.
COST = re.compile(
    r'<td class="numeric" data-sort="[\d.]+">[\d.]+ (?:s|min|h)</td>'
    r'|<td>[\d.]+ s</td>(<td class="bar-cell"[^>]*><span class="length" style="[^"]*">)?'
    r"|<dd>[\d.]+ \w+</dd>(?=<dd class=\"small\">of processor time)"
)
STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+\d\d:\d\d|Z)?|\d{8}-\d{6}")


def files_of(folder: Path) -> dict[str, Path]:
    """Find every file of an output folder by its name in it, but for work files and logs."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {n: p for n, p in found.items() if not any(fnmatch(n, s) for s in SKIPPED)}


def differences(before: Path, after: Path, ignore: tuple[str, ...] = ()) -> Iterator[str]:
    """List what differs between two output folders, one line a file.

    Parameters
    ----------
    before, after
        Output folders of the app.
    ignore
        Patterns of names that may differ.
    """
    left, right = files_of(before), files_of(after)
    for name in sorted(left.keys() | right.keys()):
        if any(fnmatch(name, pattern) for pattern in ignore):
            continue
        if name not in right:
            yield f"{name}: only in {before}"
        elif name not in left:
            yield f"{name}: only in {after}"
        else:
            said = _difference(left[name], right[name], (before, after))
            if said:
                yield f"{name}: {said}"


def _difference(one: Path, other: Path, roots: tuple[Path, Path]) -> str:
    if one.name.endswith((".nii", ".nii.gz", ".mgz")):
        return _images(one, other)
    if one.suffix == ".h5":
        return _transforms(one, other)
    if one.suffix == ".json":
        return _json(one, other, roots)
    if one.suffix == ".tsv":
        return _tables(one, other, roots)
    if one.suffix in (".html", ".md", ".svg", ".txt", ".yaml", ".yml", ".bib"):
        return _texts(one, other, roots)
    return "" if one.read_bytes() == other.read_bytes() else "other bytes"


def _images(one: Path, other: Path) -> str:
    import nibabel as nib

    left: Any = nib.load(one)
    right: Any = nib.load(other)
    if left.shape != right.shape:
        return f"shape {left.shape} against {right.shape}"
    if not np.array_equal(left.affine, right.affine):
        return "another affine"
    a, b = np.asarray(left.dataobj), np.asarray(right.dataobj)
    if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        return ""
    return f"{np.mean(a != b):.2%} of voxels differ, by {np.nanmax(np.abs(a - b)):.3g} at most"


def _transforms(one: Path, other: Path) -> str:
    import h5py

    def read(path: Path) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: (
                    found.update({name: item[()]}) if hasattr(item, "shape") else None
                )
            )
        return {n: v for n, v in found.items() if "Version" not in n and "OS" not in n}

    left, right = read(one), read(other)
    if left.keys() != right.keys():
        return "other datasets"
    wrong = [n for n in left if not np.array_equal(left[n], right[n])]
    return f"{', '.join(wrong)} differ" if wrong else ""


def _json(one: Path, other: Path, roots: tuple[Path, Path]) -> str:
    left, right = (json.loads(p.read_text(encoding="utf-8")) for p in (one, other))
    wrong = list(_deep(_placed(left, roots), _placed(right, roots), ""))
    return "; ".join(wrong[:5]) + (f"; {len(wrong) - 5} more" if len(wrong) > 5 else "")


def _deep(one: Any, other: Any, place: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key in VOLATILE_KEYS:
                continue
            if key not in one or key not in other:
                yield f"{place}{key} only {'after' if key not in one else 'before'}"
            else:
                yield from _deep(one[key], other[key], f"{place}{key}.")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _deep(a, b, f"{place}{i}.")
    elif one != other and not (one != one and other != other):
        yield f"{place.rstrip('.')} {str(one)[:60]!r} -> {str(other)[:60]!r}"


def _tables(one: Path, other: Path, roots: tuple[Path, Path]) -> str:
    left, right = (_placed(p.read_text(encoding="utf-8"), roots).splitlines() for p in (one, other))
    a, b = ([line.split("\t") for line in lines] for lines in (left, right))
    if not a or not b or a[0] != b[0]:
        return f"columns {set(a[0]) ^ set(b[0])} or their order" if a and b else "an empty table"
    if len(a) != len(b):
        return f"{len(a) - 1} rows against {len(b) - 1}"
    wrong: dict[str, int] = {}
    for row, twin in zip(a[1:], b[1:], strict=True):
        for name, x, y in zip(a[0], row, twin, strict=False):
            if x != y and name not in VOLATILE_COLUMNS:
                wrong[name] = wrong.get(name, 0) + 1
    return ", ".join(f"{n} differs in {k} of {len(a) - 1} rows" for n, k in wrong.items())


def _texts(one: Path, other: Path, roots: tuple[Path, Path]) -> str:
    left, right = (_placed(p.read_text(encoding="utf-8"), roots).splitlines() for p in (one, other))
    if left == right:
        return ""
    wrong = sum(x != y for x, y in zip(left, right, strict=False)) + abs(len(left) - len(right))
    return f"{wrong} of {max(len(left), len(right))} lines differ"


def _placed(value: Any, roots: tuple[Path, Path]) -> Any:
    """Take times and the folders' own places out of texts."""
    if isinstance(value, str):
        for root in roots:
            value = value.replace(str(root.resolve()), "<output_dir>").replace(str(root), "<out>")
        return COST.sub("<cost>", STAMP.sub("<time>", value))
    if isinstance(value, list):
        return [_placed(item, roots) for item in value]
    if isinstance(value, dict):
        return {key: _placed(item, roots) for key, item in value.items()}
    return value


def main() -> int:
    """Print what differs; 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--ignore", nargs="*", default=[], metavar="GLOB")
    told = parser.parse_args()
    count = 0
    for line in differences(told.before, told.after, tuple(told.ignore)):
        print(line)
        count += 1
    compared = len(files_of(told.before).keys() & files_of(told.after).keys())
    left_out = f"; not compared: {' '.join(told.ignore)}" if told.ignore else ""
    print(f"{compared} files compared, {count} differ{left_out}")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())

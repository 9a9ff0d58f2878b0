"""Write the pages of the documentation that are made from the code: ``python docs/generate.py``.

The command line from the parser, the recipe's keys from the schema, the columns of every table
from the data dictionaries, and the picture of the rooms from the imports. ``--check`` writes
nothing and ends with 1 where a page that users look things up in differs from what the code says.
"""

import argparse
import html
import math
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import grimp

from bidsapp.arguments import build_parser
from bidsapp.derivatives.column_meanings import SHARED, Column
from bidsapp.derivatives.dictionaries import TABLES
from bidsapp.recipes.catalog import packaged
from bidsapp.recipes.keys import keys_of
from bidsapp.recipes.schema import Recipe

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "bidsapp"
NOTE = "<!-- Made by `make docs` from the code; change it there. -->\n\n"


def command_line() -> str:
    """Write the page of all options, group by group as `nocicast --help` has them."""
    parser = build_parser()
    lines = ["# Command line\n", "`nocicast BIDS_DIR OUTPUT_DIR {participant,group} [options]`\n"]
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        if not actions:
            continue
        lines += [f"## {(group.title or '').capitalize()}\n", "| option | value | meaning |"]
        lines.append("|---|---|---|")
        for action in actions:
            names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.dest}`"
            value = _value_of(action)
            words = (action.help or "").replace("%(default)s", str(action.default))
            lines.append(f"| {names} | {value} | {_cell(words)} |")
        lines.append("")
    lines.append("Exit codes are in [Every file that comes out](outputs.md#exit-codes).")
    return "\n".join(lines) + "\n"


def _value_of(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    words = action.metavar or ", ".join(map(str, action.choices or ())) or action.dest.upper()
    words = " ".join(words) if isinstance(words, tuple) else str(words)
    return f"`{words}`" + (" …" if action.nargs in ("+", "*") else "")


def recipe_keys() -> str:
    """Write the page of every key of a recipe with type, default and meaning."""
    names = ", ".join(f"`{name}`" for name in packaged())
    lines = [
        "# Recipe keys\n",
        f"Every key of a recipe, its type, default and meaning. Recipes of the app: {names}. "
        "`nocicast --show-recipe NAME` prints one in full.\n",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for key in keys_of(Recipe):
        default = f"`{key.default}`" if key.default else ""
        words = _cell(key.description)
        lines.append(f"| `{key.key}` | {_cell(key.type)} | {default} | {words} |")
    return "\n".join(lines) + "\n"


def columns() -> str:
    """Write the page of every column of every table, as the data dictionaries say."""
    lines = [
        "# Columns of the tables\n",
        "Every table has a JSON file beside it that says the same of the columns it holds. `*` "
        "stands for any letters. `n/a` is a value that is missing or not defined.\n",
        "## Columns that tables share\n",
        *_table(SHARED),
    ]
    for name, own in sorted(TABLES.items()):
        lines.append(f"## `{name}.tsv`\n")
        lines += _table(own) if own else ["Only columns that tables share.\n"]
    return "\n".join(lines) + "\n"


def _table(of: dict[str, Column]) -> Iterator[str]:
    yield "| column | unit | meaning |"
    yield "|---|---|---|"
    for name, column in of.items():
        levels = "; ".join(f"`{value}`: {words}" for value, words in column.levels.items())
        words = column.description + (f" {levels}." if levels else "")
        yield f"| `{name}` | {column.units} | {_cell(words)} |"
    yield ""


def _cell(text: str) -> str:
    """Make a text safe inside a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


ROW, WIDTH, LEFT, BOX = 62, 1000, 20, 560


def rooms() -> str:
    """Draw the rooms floor by floor as SVG, with an arc for whatever one imports of another."""
    contract = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contract["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [[room.strip() for room in _split(layer)] for layer in layers]
    graph = grimp.build_graph("bidsapp")
    place = {room: (i, j, len(f)) for i, f in enumerate(floors) for j, room in enumerate(f)}
    counts: dict[tuple[str, str], int] = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = (_room(importer), _room(imported))
            if pair[0] != pair[1] and set(pair) <= set(place):
                counts[pair] = counts.get(pair, 0) + 1
    height = ROW * len(floors) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="13"><title>Rooms of the package and what they '
        "import of one another</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for (upper, lower), count in sorted(counts.items()):
        if place[upper][0] == place[lower][0]:
            continue
        top, bottom = (10 + ROW * place[r][0] + 22 for r in (upper, lower))
        reach = LEFT + BOX + 40 + 26 * math.sqrt(abs(bottom - top))
        reach = min(reach, WIDTH - 20)
        start = LEFT + BOX
        parts.append(
            f'<path d="M{start} {top} C{reach:.0f} {top} {reach:.0f} {bottom} {start} {bottom}" '
            f'fill="none" stroke="#3a6ea5" stroke-opacity=".35" '
            f'stroke-width="{1 + math.log(count):.1f}"><title>{upper} imports {lower} in '
            f"{count} places</title></path>"
        )
    for room, (i, j, many) in place.items():
        width = BOX / many - 6
        x, y = LEFT + j * BOX / many, 10 + ROW * i
        files, lines = _size(room)
        parts.append(
            f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="44" rx="4" fill="#eef3f8" '
            f'stroke="#3a6ea5"/><text x="{x + 8:.0f}" y="{y + 19}" font-weight="bold">{room}</text>'
            f'<text x="{x + 8:.0f}" y="{y + 36}" font-size="11" fill="#555">'
            f"{files} {'file' if files == 1 else 'files'}, {lines} lines</text>"
        )
    return "".join(parts) + "</svg>\n"


def _split(layer: str) -> list[str]:
    return layer.replace(":", "|").split("|")


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _size(room: str) -> tuple[int, int]:
    files = sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    return len(files), sum(len(f.read_text(encoding="utf-8").splitlines()) for f in files)


def first_lines() -> str:
    """List every file of the package with the first line that it says of itself."""
    lines = ["# Every file of the package, in its own words\n"]
    room = None
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        where = str(inside.parent) if str(inside.parent) != "." else "bidsapp"
        if where != room:
            room = where
            lines.append(f"\n## {html.escape(room)}\n")
        first = path.read_text(encoding="utf-8").split('"""')
        words = first[1].strip().splitlines()[0] if len(first) > 1 else ""
        lines.append(f"- `{inside}`: {words.replace('<', '&lt;')}")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/command-line.md": command_line,
    "reference/recipe-keys.md": recipe_keys,
    "reference/columns.md": columns,
    "reference/files-of-the-package.md": first_lines,
    "images/rooms.svg": rooms,
}


# Follow every line of code that is written, and need not be made anew for each.
LOOSE = ("reference/files-of-the-package.md", "images/rooms.svg")


def main() -> int:
    """Write the pages, or compare them with what the code says."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, make in PAGES.items():
        path = DOCS / name
        text = make() if name.endswith(".svg") else NOTE + make()
        if check:
            if name not in LOOSE and (
                not path.is_file() or path.read_text(encoding="utf-8") != text
            ):
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"docs: {', '.join(stale)} differ from what the code says; run make docs.")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())

"""Imports run in no circle, not even those inside functions; those for type checkers may."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import bidsapp

PACKAGE = Path(bidsapp.__file__).parent


def modules() -> dict[str, Path]:
    files = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    return {name.removesuffix(".__init__"): path for name, path in files.items()}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what is for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        yield child
        yield from running(child)


def imported(text: str, known: Mapping[str, Path]) -> Iterator[str]:
    for node in running(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_module_imports_one_that_imports_it_at_any_remove() -> None:
    known = modules()
    graph = {
        name: (set(imported(path.read_text(encoding="utf-8"), known)) & known.keys()) - {name}
        for name, path in known.items()
    }
    assert graph["bidsapp.training.permuted"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1][::-1]))


def test_an_import_inside_a_function_counts_and_one_for_type_checkers_does_not() -> None:
    known = {"bidsapp.a": Path(), "bidsapp.b": Path(), "bidsapp.b.c": Path()}
    text = (
        "if TYPE_CHECKING:\n    from bidsapp.a import A\n"
        "def f():\n    from bidsapp.b import c, D\n    import bidsapp.a as a\n"
    )
    assert list(imported(text, known)) == ["bidsapp.b.c", "bidsapp.b", "bidsapp.a"]

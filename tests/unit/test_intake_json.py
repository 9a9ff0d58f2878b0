"""JSON in one way: whatever is wrong with a file is one error with its name."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bidsapp
from bidsapp.errors import NoInput
from bidsapp.intake.json_text import BadJson, parse_json, read_json, read_object

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab€"), inner, max_size=4),
    max_leaves=12,
)


@given(value=values, ascii_only=st.booleans())
def test_what_json_holds_is_given_back(value: object, ascii_only: bool) -> None:
    """Valid text in both spellings, astral characters among it."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text) == value
    assert parse_json(text.encode()) == value


BROKEN = {
    "cut off": b'{"a": [1, 2',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "400 digits": b'{"EchoTime": ' + b"7" * 400 + b"}",
    "5,000 digits": b'{"EchoTime": ' + b"7" * 5_000 + b"}",
    "half a character": b'{"Name": "\\ud800"}',
    "half a character as a key": b'{"\\uDFFF": 1}',
    "empty": b"",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_one_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    """No RecursionError, UnicodeError or surprise later on when it is written."""
    path = tmp_path / "sub-01_T1w.json"
    path.write_bytes(content)
    with pytest.raises(BadJson, match=r"^sub-01_T1w\.json: "):
        read_json(path)
    assert read_object(path) == {}


def test_a_pair_of_halves_is_one_character() -> None:
    """An emoji written as two escapes is whole."""
    assert parse_json(b'"\\ud83e\\udde0"') == "\U0001f9e0"


def test_content_that_was_not_fetched_is_said(tmp_path: Path) -> None:
    """A pointer of git-annex stands where a sidecar should."""
    path = tmp_path / "sub-01_T1w.json"
    path.write_text("/annex/objects/SHA256E-s12--abc.json\n")
    with pytest.raises(NoInput, match="datalad get"):
        read_json(path)
    assert read_object(path) == {}


def test_nobody_parses_json_or_tables_on_their_own() -> None:
    """Elsewhere in the package nothing calls `json.loads` on a text from outside, or `read_csv`."""
    homes = {
        "json_text.py": "loads",
        "tables.py": "read_csv",
        "__main__.py": "read_csv",  # any table that statisticians have, commas too
    }
    found = []
    for path in Path(bidsapp.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            copy = bool(call.args) and "dumps" in ast.dump(call.args[0])
            name = call.func.attr
            if (
                name in ("loads", "load") and ast.unparse(call.func.value) == "json" and not copy
            ) or name == "read_csv":
                found.append((path.name, name))
    assert sorted(found) == sorted(homes.items())

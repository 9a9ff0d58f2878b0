"""YAML read in one way: safe, no surprises in what is a number or a truth value."""

import re
from typing import Any, cast

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from bidsapp.errors import UsageError
from bidsapp.visible import shortened

BOOL = "tag:yaml.org,2002:bool"
FLOAT = "tag:yaml.org,2002:float"
INT = "tag:yaml.org,2002:int"
NULL = "tag:yaml.org,2002:null"
TEXT = "tag:yaml.org,2002:str"
MAPPING = "tag:yaml.org,2002:map"
SEQUENCE = "tag:yaml.org,2002:seq"

# YAML 1.1, which PyYAML speaks, reads 1e-3 as text, no as false, 012 as ten and 12:30 as 750.
# These are the readings of YAML 1.2, without its octal and hexadecimal numbers.
PLAIN = {
    BOOL: re.compile(r"true|True|TRUE|false|False|FALSE"),
    NULL: re.compile(r"~|null|Null|NULL|"),
    INT: re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    FLOAT: re.compile(
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
}


_SAID = 600  # a key of thousands of characters, quoted, hides what is said of it
_FITTING = {MAPPING: yaml.MappingNode, SEQUENCE: yaml.SequenceNode}


class Problem(yaml.MarkedYAMLError):
    """Well-formed YAML that a recipe does not allow."""


class _Strict(Composer, SafeConstructor, Resolver):
    """What a recipe allows of YAML: no aliases, repeated keys and keys that are not text.

    Mixed into a loader of PyYAML, whose own reading it calls.
    """

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (PyYAML's own name)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Tag of a node that carries none."""
        if kind is yaml.ScalarNode and implicit[0]:
            return next((tag for tag in PLAIN if PLAIN[tag].fullmatch(value)), TEXT)
        return super().resolve(kind, value, implicit)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Build a node; an alias could make a small file endless."""
        parser: Any = self
        if parser.check_event(yaml.AliasEvent):
            mark = parser.peek_event().start_mark
            raise Problem(None, None, "aliases (*) are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Make the value of a node; a tag (``!!int``) is taken only where its value fits it."""
        kind = _FITTING.get(node.tag, yaml.ScalarNode)
        name = node.tag.replace("tag:yaml.org,2002:", "!!")
        if node.tag not in (*PLAIN, TEXT, *_FITTING):
            raise Problem(None, None, f"the tag {name} is not allowed", node.start_mark)
        if isinstance(node, kind):
            try:
                return super().construct_object(node, deep)
            except (ValueError, KeyError, IndexError):  # what PyYAML makes of '!!int ten'
                pass
        given = repr(node.value[:40]) if isinstance(node.value, str) else f"a {node.id}"
        raise Problem(None, None, f"{given} does not fit its tag {name}", node.start_mark)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Make a dict, refusing what a dict would silently lose or change."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != TEXT:
                given = getattr(key, "value", "")
                raise Problem(
                    None, None, f"the key {given} is not text; put it in quotes", key.start_mark
                )
            if key.value in seen:
                raise Problem(None, None, f"the key {key.value} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Loader(_Strict, yaml.SafeLoader):
    """PyYAML's safe loader, strict; it says what is wrong and where."""


if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class _Quick(_Strict, CParser):
        """The same on libyaml's parser, which takes a quarter of the time."""

        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)  # none of them calls the next
            for base in (Composer, SafeConstructor, Resolver):
                base.__init__(self)


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, quoting what either version of YAML would misread."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value that occurs twice in full, twice."""
        return True


for _tag, _pattern in PLAIN.items():
    Dumper.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern.pattern})$"), None)


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(TEXT, text, style="|" if "\n" in text else None)


Dumper.add_representer(str, _write_text)


# libyaml takes tabs between words for spaces, `[maybe?]` for a text, `!` alone for an empty one,
# a comment right behind `|` for one, and leaves marks of byte order out; PyYAML does not.
_READ_OTHERWISE = re.compile(r"[\t!?\ufeff]|[|>][-+0-9]*#")


def _load(text: str) -> Any:
    """Load a document quickly where it is sound; else by the loader that says what is wrong.

    What is allowed, and what it means, must not depend on which is installed: what the two read in
    different ways is left to PyYAML's own loader.
    """
    if yaml.__with_libyaml__ and not _READ_OTHERWISE.search(text):
        try:
            return yaml.load(text, cast(Any, _Quick))
        except (yaml.YAMLError, ValueError, RecursionError):
            pass
    return yaml.load(text, Loader)


def read_yaml(text: str, source: str) -> Any:
    """Read one YAML document.

    Raises
    ------
    UsageError
        The text is not YAML or not allowed in a recipe; the message names `source` and the line.
    """
    try:
        return _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = ", ".join(text for text in (error.context, error.problem) if text)
        raise UsageError(f"{source}{where}: {shortened(said, _SAID)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{source}: not readable as YAML: {str(error).splitlines()[0]}") from None


def write_yaml(value: Any) -> str:
    """Text that `read_yaml` reads back to an equal value, short sections on one line."""
    return yaml.dump(
        value, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=99
    )

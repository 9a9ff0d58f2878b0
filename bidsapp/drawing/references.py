"""The references that methods texts cite: BibTeX entries, and how they read."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).parent / "templates" / "references.bib"
_ENTRY = re.compile(r"^@(\w+)\{([^,]+),\n(.*?)^\}", re.M | re.S)
_AUTHOR_YEAR = re.compile(r"([a-z]+)((?:19|20)\d\d)")
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.M)
# By BibTeX's mark, the character that Unicode puts after a letter for the same.
_ACCENTS = {
    **{"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "=": "\u0304"},
    **{".": "\u0307", "u": "\u0306", "v": "\u030c", "c": "\u0327", "r": "\u030a", "H": "\u030b"},
    "k": "\u0328",
}
_ACCENTED = re.compile(r"""\{\\(['`"^~=.]|[uvcrHk](?=[ {]))\s*\{?([A-Za-z])\}?\}""")
_KEPT_CASE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Reference:
    """One entry.

    Attributes
    ----------
    key
        By which texts cite it.
    bibtex
        The entry as it goes into a ``.bib`` file.
    fields
        Its fields in plain characters: author, title, year, …
    """

    key: str
    bibtex: str
    fields: dict[str, str]

    @property
    def authors(self) -> list[tuple[str, str]]:
        """Last and first names, in order; ``others`` where the list is cut short."""
        people = []
        for person in self.fields["author"].split(" and "):
            last, *rest = person.split(", ")
            people.append((last.strip("{}"), rest[-1] if rest else ""))
        return people

    @property
    def short(self) -> str:
        """As it is cited in a text: ``Tustison et al., 2010``."""
        names = [last for last, _ in self.authors]
        who = names[0] if len(names) == 1 else " and ".join(names[:2])
        if len(names) > 2 or names[-1] == "others":
            who = f"{names[0]} et al."
        return f"{who}, {self.fields['year']}" if "year" in self.fields else who

    @property
    def full(self) -> str:
        """As it stands in a list of references."""
        people = [
            "et al." if last == "others" else f"{last} {_initials(first)}".strip()
            for last, first in self.authors
        ]
        parts = [", ".join(people).rstrip(".") + "."]
        if "year" in self.fields:
            parts[0] = f"{parts[0].removesuffix('.')} ({self.fields['year']})."
        parts.append(f"{self.fields['title']}.")
        where = self.fields.get("journal") or self.fields.get("booktitle")
        if where:
            parts.append(f"{where}{_place(self.fields)}.")
        elif "note" in self.fields:
            parts.append(f"{self.fields['note']}.")
        if "doi" in self.fields:
            parts.append(f"doi:{self.fields['doi']}")
        return " ".join(parts)


def _place(fields: dict[str, str]) -> str:
    volume = fields.get("volume", "")
    if volume and "number" in fields:
        volume += f"({fields['number']})"
    return "".join(f", {text}" for text in (volume, fields.get("pages", "")) if text)


def _initials(first: str) -> str:
    return "".join(name[0] for name in re.split(r"[ .-]+", first) if name)


@lru_cache(maxsize=1)
def references() -> dict[str, Reference]:
    """Read all entries; key to reference."""
    text = _FILE.read_text(encoding="utf-8")
    return {found.key: found for found in map(_read, _ENTRY.finditer(text))}


def study_reference(name: str, address: str) -> Reference:
    """Find the entry of the study of a recipe, or make one where only its address is known.

    Parameters
    ----------
    name
        The recipe's, from which first author and year are taken where it is made of them, as in
        ``attias2025``.
    address
        As a recipe gives it: ``doi:10…`` or an address.
    """
    for one in references().values():
        doi = one.fields.get("doi", "none").casefold()
        if address == one.fields.get("url") or address.casefold() == f"doi:{doi}":
            return one
    key = "".join(c for c in name.lower() if c.isalnum() and c.isascii()) or "study"
    fields = {"author": key, "title": f"Study after which the recipe {key} is made"}
    named = _AUTHOR_YEAR.fullmatch(key)
    if named:
        fields |= {"author": f"{named.group(1).title()} and others", "year": named.group(2)}
    kind, _, value = address.partition(":")
    if key in references():  # of another study
        key = f"study{key}"
    fields |= {"doi": value} if kind == "doi" else {"url": address, "note": address}
    lines = ",\n".join(f"  {name} = {{{_plain(text)}}}" for name, text in fields.items())
    return Reference(key, f"@misc{{{key},\n{lines}\n}}", fields)


def _plain(text: str) -> str:
    return text.replace("\n", " ")


def _read(found: "re.Match[str]") -> Reference:
    kind, key, body = found.groups()
    fields = {name: _readable(value) for name, value in _FIELD.findall(body)}
    return Reference(key, f"@{kind}{{{key},\n{body}}}", fields)


def _readable(text: str) -> str:
    def letter(found: "re.Match[str]") -> str:
        return unicodedata.normalize("NFC", found.group(2) + _ACCENTS[found.group(1)])

    text = _KEPT_CASE.sub(r"\1", _ACCENTED.sub(letter, text))
    return text.replace(r"\&", "&").replace("--", "–")

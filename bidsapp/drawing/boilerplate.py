"""Paragraphs with citations, written as Markdown, HTML and BibTeX."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bidsapp.derivatives import write_text
from bidsapp.drawing.references import Reference, references
from bidsapp.visible import markdown_part, visible

_CITED = re.compile(r"\[@([a-z0-9]+(?:; @[a-z0-9]+)*)\]")
NAME = "CITATION"


@dataclass(frozen=True)
class Section:
    """A heading and its paragraphs; ``[@key]`` or ``[@one; @two]`` cites."""

    heading: str
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Boilerplate:
    """A methods text that can be pasted.

    Attributes
    ----------
    markdown
        With the list of references.
    html
        A fragment with headings from h3 on, everything from data escaped.
    bibtex
        The entries that are cited.
    """

    markdown: str
    html: str
    bibtex: str


@dataclass(frozen=True)
class Draft:
    """What is to be written, before it is set.

    Attributes
    ----------
    note
        One sentence to the reader of the file, not part of the text.
    sections
        The text.
    own
        References that are not in the app's own list.
    """

    note: str
    sections: Sequence[Section]
    own: Mapping[str, Reference] = field(default_factory=dict)


def finished(draft: Draft) -> Boilerplate:
    """Set a draft in the three formats.

    What looks like a citation and has no reference stays as it is: a column of the data may be
    called so.
    """
    known = dict(references()) | dict(draft.own)
    used = _used(draft, known)
    markdown = [f"> {draft.note}"]
    html = [f'<p class="convention">{_escaped(draft.note)}</p>']
    for section in draft.sections:
        markdown.append(f"### {markdown_part(section.heading)}")
        html.append(f"<h3>{_escaped(section.heading)}</h3>")
        for paragraph in section.paragraphs:
            markdown.append(_markdown(paragraph, known))
            html.append(f"<p>{_html(paragraph, known)}</p>")
    markdown.append("### References")
    markdown.append("\n".join(f"- {markdown_part(one.full)}" for one in used))
    items = "\n".join(f'<li id="ref-{one.key}">{_listed(one)}</li>' for one in used)
    html.append(f'<h3>References</h3>\n<ul class="references">\n{items}\n</ul>')
    bibtex = "\n\n".join(one.bibtex for one in used)
    return Boilerplate("\n\n".join(markdown) + "\n", "\n".join(html) + "\n", bibtex + "\n")


def write_boilerplate(text: Boilerplate, folder: Path, title: str) -> Path:
    """Write ``CITATION.md``, ``.html`` and ``.bib`` into `folder`; gives the HTML file."""
    from markupsafe import Markup

    from bidsapp.drawing.pages import render

    write_text(folder / f"{NAME}.md", text.markdown)
    write_text(folder / f"{NAME}.bib", text.bibtex)
    page = folder / f"{NAME}.html"
    write_text(page, render("citation.html.j2", title=title, text=Markup(text.html)))
    return page


def _used(draft: Draft, known: Mapping[str, Reference]) -> list[Reference]:
    keys = {
        key
        for section in draft.sections
        for paragraph in section.paragraphs
        for part in _parts(paragraph, known)
        if not isinstance(part, str)
        for key in part
    }
    return sorted((known[key] for key in keys), key=lambda one: one.full.casefold())


def _parts(paragraph: str, known: Mapping[str, Reference]) -> Iterator[str | list[str]]:
    """Split into texts and lists of cited keys."""
    end = 0
    for found in _CITED.finditer(paragraph):
        keys = [key.removeprefix("@") for key in found.group(1).split("; ")]
        if all(key in known for key in keys):
            yield paragraph[end : found.start()]
            yield keys
            end = found.end()
    yield paragraph[end:]


def _markdown(paragraph: str, known: Mapping[str, Reference]) -> str:
    return "".join(
        markdown_part(part)
        if isinstance(part, str)
        else f"({'; '.join(known[key].short for key in part)})"
        for part in _parts(paragraph, known)
    )


def _html(paragraph: str, known: Mapping[str, Reference]) -> str:
    return "".join(
        _escaped(part)
        if isinstance(part, str)
        else "("
        + "; ".join(f'<a href="#ref-{key}">{_escaped(known[key].short)}</a>' for key in part)
        + ")"
        for part in _parts(paragraph, known)
    )


def _listed(one: Reference) -> str:
    text, doi = one.full, one.fields.get("doi")
    if not doi:
        return _escaped(text)
    link = f'<a href="https://doi.org/{_escaped(doi)}">doi:{_escaped(doi)}</a>'
    return _escaped(text.removesuffix(f"doi:{doi}")) + link


def _escaped(text: str) -> str:
    from markupsafe import escape

    return str(escape(visible(text)))

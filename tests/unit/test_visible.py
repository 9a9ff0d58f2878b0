"""What users wrote is shown as it is: no character hides, turns the text round or is obeyed."""

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bidsapp.drawing.pages import render
from bidsapp.errors import BadData
from bidsapp.visible import markdown_part, markdown_text, visible

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Where a text from data stands in cards and methods texts, and what a page shows there.
PLACES = {
    "{}": "<p>{}</p>",
    "- {}": "<ul><li>{}</li></ul>",
    "- **Outcome**: {}.": "<ul><li><strong>Outcome</strong>: {}.</li></ul>",
    "The outcome was {}, as it is.": "<p>The outcome was {}, as it is.</p>",
    "**{}**": "<p><strong>{}</strong></p>",
}


@pytest.mark.parametrize(
    "hidden", ["\x1b", "\x00", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028"]
)
def test_a_character_that_cannot_be_seen_is_spelt_out_everywhere(hidden):
    code = f"<U+{ord(hidden):04X}>"
    assert visible(f"a{hidden}b") == f"a{code}b"
    assert str(BadData(f"column pain{hidden} is not there")) == f"column pain{code} is not there"
    page = render("command.html.j2", command=f"nocicast a{hidden}b")
    assert hidden not in page
    assert f"U+{ord(hidden):04X}" in page


@pytest.mark.parametrize("text", ["Schmerz, 3 µm – „ja“", "line\nline\tcell", "疼痛", "\U0001f9e0"])
def test_text_of_any_language_is_left_as_it_is(text):
    assert visible(text) == text
    assert str(BadData(text)) == text


def test_markup_of_markdown_is_text_and_names_stay_readable():
    assert markdown_text("neck_pain_early") == "neck_pain_early"
    assert markdown_text("p < 0.05, 2-3 of 4") == "p < 0.05, 2-3 of 4"
    assert markdown_text("# _a_ `b` ~~c~~ &lt;") == r"\# \_a\_ \`b\` \~\~c\~\~ \&lt;"


def _joined(page: str) -> str:
    return re.sub(r"\s*(</?(?:p|ul|li|strong)>)\s*", r"\1", page).strip()


@given(st.text(r"ab1 #+-=>._*`[]()<>!&;:|~\\/\"'ü$", min_size=1, max_size=20))
@example("__a__")
@example("1. a")
@example("[a]: b")
@example("---")
@example("<!-- a")
@example("&amp;")
def test_whatever_stands_in_a_name_a_page_shows_just_that(name):
    text = " ".join(name.split())
    if not text:
        return
    for place, page in PLACES.items():
        shown = _joined(MARKDOWN.render(place.format(markdown_text(text))))
        assert html.unescape(shown) == page.format(text), place
    cells = re.findall(
        "<td>(.*?)</td>", MARKDOWN.render(f"| a | b |\n|---|---|\n| {markdown_text(text)} | c |")
    )
    assert [html.unescape(cell) for cell in cells] == [text, "c"]


def test_a_part_of_a_line_keeps_its_blanks_and_stays_on_its_line():
    assert markdown_part(" of *x*\n# y ") == r" of \*x\* # y "

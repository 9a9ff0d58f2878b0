"""What users wrote is shown as it is: no character hides, turns the text round or is obeyed."""

import pytest

from bidsapp.drawing.pages import render
from bidsapp.errors import BadData
from bidsapp.visible import markdown_text, visible


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
    assert markdown_text("# _a_ `b` ~~c~~ &lt;") == r"\# \_a\_ \`b\` \~\~c\~\~ \&lt;"

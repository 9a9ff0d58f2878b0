"""Text of users made harmless where it is shown: nothing hidden, reordered or taken for markup."""

import re

# Control characters but tab and line ends, and marks that turn the order of letters or hide
# (Unicode UAX 9, "Trojan Source", CVE-2021-42574).
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
# What CommonMark, GitHub's tables, struck text and formulas take for markup. An underscore inside a
# word is none, nor is a "less than" before a number.
_MARKUP = re.compile(r"([\\`*\[\]|~$]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_]))")
# What makes a heading, a quotation, a list or a rule of a line that begins with it.
_BEGINNING = re.compile(r"^( *)([#>+=-])|^( *\d+)([.)])(?= |$)")
_LONG = re.compile(r"\S{1000,}")
_LONGEST = 20_000


def visible(text: str) -> str:
    r"""Write characters that a reader cannot see, or that reorder others, as their code point.

    Examples
    --------
    >>> visible("sex\u202e"), visible("\x1b[31mred")
    ('sex<U+202E>', '<U+001B>[31mred')
    """
    return _HIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def shortened(text: str, longest: int = _LONGEST) -> str:
    r"""Cut what is too long to be read out of a message; its two ends are kept.

    A table's cell of 40,000 characters, quoted to say that it is no number, would hide the sentence
    that quotes it.

    Examples
    --------
    >>> shortened("age is " + "9" * 5000)[:60]
    'age is 99999999999999999999999999999999999999999999999999999'
    >>> len(shortened("age is " + "9" * 5000)) < 400
    True
    """
    text = _LONG.sub(lambda found: _ends(found[0], 150), text)
    return _ends(text, longest // 2) if len(text) > longest else text


def _ends(text: str, kept: int) -> str:
    return f"{text[:kept]} [... {len(text) - 2 * kept} more characters ...] {text[-kept:]}"


def markdown_text(text: str) -> str:
    r"""Write text from data as Markdown that shows just it, on one line.

    Examples
    --------
    >>> print(markdown_text("[x](http://a) <b>"))
    \[x\](http://a) \<b>
    """
    return markdown_part(" ".join(str(text).split()))


def markdown_part(text: str) -> str:
    r"""Write a part of a line as Markdown that shows just it, blanks at its ends included.

    Examples
    --------
    >>> print(markdown_part(" p < .05 and _x_"))
     p < .05 and \_x\_
    """
    plain = re.sub(r"\s", " ", visible(text))
    return _BEGINNING.sub(r"\1\3\\\2\4", _MARKUP.sub(r"\\\1", plain))

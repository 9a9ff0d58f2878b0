"""Text of users made harmless where it is shown: nothing hidden, reordered or taken for markup."""

import re

# Control characters but tab and line ends, and marks that turn the order of letters or hide
# (Unicode UAX 9, "Trojan Source", CVE-2021-42574).
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_LONG = re.compile(r"\S{1000,}")
_LONGEST = 20_000
_MARKDOWN = re.compile(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)|^#)")


def visible(text: str) -> str:
    r"""Write characters that a reader cannot see, or that reorder others, as their code point.

    Examples
    --------
    >>> visible("sex\u202e"), visible("\x1b[31mred")
    ('sex<U+202E>', '<U+001B>[31mred')
    """
    return _HIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def shortened(text: str) -> str:
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
    return _ends(text, _LONGEST // 2) if len(text) > _LONGEST else text


def _ends(text: str, kept: int) -> str:
    return f"{text[:kept]} [... {len(text) - 2 * kept} more characters ...] {text[-kept:]}"


def markdown_text(text: str) -> str:
    r"""Write text from data as Markdown that shows just it, on one line.

    Examples
    --------
    >>> print(markdown_text("[x](http://a) <b>"))
    \[x\](http://a) \<b\>
    """
    return _MARKDOWN.sub(r"\\\1", visible(" ".join(str(text).split())))

"""Text of users made harmless where it is shown: nothing hidden, reordered or taken for markup."""

import re

# Control characters but tab and line ends, and marks that turn the order of letters or hide
# (Unicode UAX 9, "Trojan Source", CVE-2021-42574).
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_MARKDOWN = re.compile(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)|^#)")


def visible(text: str) -> str:
    r"""Write characters that a reader cannot see, or that reorder others, as their code point.

    Examples
    --------
    >>> visible("sex\u202e"), visible("\x1b[31mred")
    ('sex<U+202E>', '<U+001B>[31mred')
    """
    return _HIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def markdown_text(text: str) -> str:
    r"""Write text from data as Markdown that shows just it, on one line.

    Examples
    --------
    >>> print(markdown_text("[x](http://a) <b>"))
    \[x\](http://a) \<b\>
    """
    return _MARKDOWN.sub(r"\\\1", visible(" ".join(str(text).split())))

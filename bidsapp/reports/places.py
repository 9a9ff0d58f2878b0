"""Places in a finished page that are filled later, and filled again."""

from pathlib import Path

from bidsapp.derivatives import write_text


def fill(page: Path, contents: dict[str, str]) -> bool:
    """Put HTML between ``<!-- name:begin -->`` and ``<!-- name:end -->``, replacing what is there.

    Parameters
    ----------
    page
        A page of this app; it is replaced in one step.
    contents
        Name of the place to HTML, everything from data escaped.

    Returns
    -------
    bool
        Whether the page is there and has all the places; else it is left alone.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError:
        return False
    for name, html in contents.items():
        before, begin, rest = text.partition(f"<!-- {name}:begin -->")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        if not begin or not end:
            return False
        text = f"{before}{begin}\n{html}\n{end}{after}"
    write_text(page, text)
    return True

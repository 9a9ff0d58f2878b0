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
        Whether the page is there and has all the places; those that it has are filled.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError:
        return False
    whole = True
    for name, html in contents.items():
        before, begin, rest = text.partition(f"<!-- {name}:begin -->")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        if begin and end:
            text = f"{before}{begin}\n{html}\n{end}{after}"
        else:
            whole = False
    write_text(page, text)
    return whole

"""A model's answer, put into the report of the participant whom it is about."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.derivatives import write_text
from bidsapp.reports.pages import render

_BEGIN, _END = "<!-- prediction:begin -->", "<!-- prediction:end -->"


def add_prediction(page: Path, answer: Mapping[str, Any], held_out: str) -> bool:
    """Show a prediction in a participant's report, in place of one that is there.

    Parameters
    ----------
    page
        The report.
    answer
        Contents of the predictions file.
    held_out
        How well the model did on people it had not seen, in words; empty where unknown.

    Returns
    -------
    bool
        Whether the report is there and has a place for it.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError:
        return False
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        return False
    section = render(
        "prediction.html.j2",
        outcome=answer["outcome"],
        positive=answer["positive"],
        probability=answer["probability"],
        spread=answer["probability_sd"],
        per_model=answer["per_model"],
        model=answer["model"],
        held_out=held_out,
    )
    write_text(page, f"{before}{begin}\n{section}\n{end}{after}")
    return True

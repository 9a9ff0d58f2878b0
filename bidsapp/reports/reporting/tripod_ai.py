"""TRIPOD+AI filled from a group run: each item answered with file and place, or left to authors."""

from pathlib import Path

import pandas as pd

from bidsapp import __version__
from bidsapp.contracts.fitted import stamp_text
from bidsapp.derivatives import write_text
from bidsapp.evaluation.stamp import stamped
from bidsapp.evaluation.tsv import write_table
from bidsapp.reports.reporting.answers import ANSWERS
from bidsapp.reports.reporting.items import ITEMS, SOURCE
from bidsapp.reports.reporting.run_facts import RunFacts
from bidsapp.reports.run.group_run import GroupRun

FILE = "tripod_ai"
COLUMNS = ("item", "section", "asks", "status", "answer", "where", "author")
RUN, BOTH, AUTHOR = "run", "run and author", "author"


def filled_items(run: GroupRun) -> pd.DataFrame:
    """Answer every item from the files of a run.

    Parameters
    ----------
    run
        A finished group run.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row for each of `items.ITEMS`. `where` names files of the run, those alone
        that are there; `status` is ``run``, ``run and author`` where authors have to add what
        `author` says, or ``author`` where the run says nothing.
    """
    known = RunFacts(run)
    rows = []
    for item in ITEMS:
        say = ANSWERS.get(item.number)
        text, where = say(known) if say else ("", ())
        there = [place for place in where if (run.folder / place.partition(":")[0]).exists()]
        there = there if text else []
        status = AUTHOR if not text else BOTH if item.author else RUN
        asked = (item.number, item.section, item.asks)
        rows.append((*asked, status, text, "; ".join(there), item.author))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def write_tripod(folder: Path) -> Path:
    """Write ``reporting/tripod_ai.tsv`` and ``.md`` of a finished run.

    Returns
    -------
    Path
        The text.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        The folder cannot be written.
    """
    run = GroupRun(folder)
    table = stamped(filled_items(run), _stamps(run))
    place = folder / "reporting"
    write_table(table, place / f"{FILE}.tsv")
    path = place / f"{FILE}.md"
    write_text(path, _text(run, table))
    return path


def _text(run: GroupRun, table: pd.DataFrame) -> str:
    counts = table["status"].value_counts()
    lines = [
        f"# TRIPOD+AI of run {run.folder.name}",
        "",
        f"Written by NociCast {__version__} from the files of the run; file names are within its "
        f"folder. The questions are in our own words: check them against the published list "
        f"({SOURCE}). Of {len(table)} items the run answers {counts.get(RUN, 0)} and, in part, "
        f"{counts.get(BOTH, 0)}; {counts.get(AUTHOR, 0)} are for the authors alone.",
        "",
        *([f"**{_stamps(run)}**", ""] if _stamps(run) else []),
        "| item | asked | answer | where | for the authors |",
        "|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        cells = (row["item"], row["asks"], row["answer"], row["where"], row["author"])
        lines.append("| " + " | ".join(_cell(str(cell)) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _stamps(run: GroupRun) -> str:
    return "; ".join(filter(None, [run.recipe.simulation.stamp, stamp_text(run.leaks)]))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())

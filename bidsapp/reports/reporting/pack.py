"""The submission pack: reporting guidelines filled from a run, risk of bias, and frozen models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bidsapp import __version__
from bidsapp.contracts.fitted import stamp_text
from bidsapp.derivatives import write_text
from bidsapp.evaluation.stamp import stamped
from bidsapp.evaluation.tsv import write_table
from bidsapp.reports.reporting import answers, claim, items, probast
from bidsapp.reports.reporting.items import Item
from bidsapp.reports.reporting.run_facts import FROZEN, MODELS, Answer, RunFacts
from bidsapp.reports.run.group_run import GroupRun

COLUMNS = ("item", "section", "asks", "status", "answer", "where", "author")
BIAS = ("question", "domain", "asks", "judged", "why", "where")
RUN, BOTH, AUTHOR = "run", "run and author", "author"


@dataclass(frozen=True)
class Guideline:
    """A reporting guideline.

    Attributes
    ----------
    file, title, source
        What its files are called, how it is called, and where it was published.
    items
        What it asks.
    answers
        Number of an item to what answers it.
    """

    file: str
    title: str
    source: str
    items: Sequence[Item]
    answers: Mapping[str, Callable[[RunFacts], Answer]]


GUIDELINES = (
    Guideline("tripod_ai", "TRIPOD+AI", items.SOURCE, items.ITEMS, answers.ANSWERS),
    Guideline("claim", "CLAIM (2024)", claim.SOURCE, claim.ITEMS, claim.ANSWERS),
)


def filled_items(run: GroupRun, guideline: Guideline = GUIDELINES[0]) -> pd.DataFrame:
    """Answer every item from the files of a run.

    Parameters
    ----------
    run
        A finished group run.
    guideline
        Which one.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row for each item. `where` names files of the run, those alone
        that are there; `status` is ``run``, ``run and author`` where authors have to add what
        `author` says, or ``author`` where the run says nothing.
    """
    known = RunFacts(run)
    rows = []
    for item in guideline.items:
        say = guideline.answers.get(item.number)
        text, where = say(known) if say else ("", ())
        there = _there(run, where) if text else []
        status = AUTHOR if not text else BOTH if item.author else RUN
        asked = (item.number, item.section, item.asks)
        author = item.author or ("" if text else "everything of it")
        rows.append((*asked, status, text, "; ".join(there), author))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _there(run: GroupRun, where: Sequence[str]) -> list[str]:
    return [place for place in where if (run.folder / place.partition(":")[0]).exists()]


def bias_table(run: GroupRun) -> pd.DataFrame:
    """Judge the risk of bias of a run by its own files: columns `BIAS`."""
    known = RunFacts(run)
    rows = [
        (one.number, one.domain, one.asks, verdict, why, "; ".join(_there(run, where)))
        for one, (verdict, why, where) in zip(probast.QUESTIONS, probast.judged(known), strict=True)
    ]
    return pd.DataFrame(rows, columns=pd.Index(BIAS))


def write_pack(folder: Path) -> Path:
    """Write ``reporting/`` of a finished run.

    ``tripod_ai`` and ``claim`` (``.tsv``, ``.md``), ``probast`` (the same) and
    ``frozen_models.tsv``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        The folder cannot be written.
    """
    run, place = GroupRun(folder), folder / "reporting"
    models = pd.DataFrame(RunFacts(run).bundles, columns=pd.Index(MODELS))
    write_table(models, folder / FROZEN)
    table = stamped(bias_table(run), _stamps(run))  # first: a guideline names it
    write_table(table, place / "probast.tsv")
    write_text(place / "probast.md", _bias_text(run, table))
    for guideline in GUIDELINES:
        table = stamped(filled_items(run, guideline), _stamps(run))
        write_table(table, place / f"{guideline.file}.tsv")
        write_text(place / f"{guideline.file}.md", _text(run, guideline, table))
    return place


def _text(run: GroupRun, guideline: Guideline, table: pd.DataFrame) -> str:
    counts = table["status"].value_counts()
    lines = [
        f"# {guideline.title} of run {run.folder.name}",
        "",
        f"Written by NociCast {__version__} from the files of the run; file names are within its "
        f"folder. The questions are in our own words: check them against the published list "
        f"({guideline.source}). Of {len(table)} items the run answers {counts.get(RUN, 0)} and, in "
        f"part, {counts.get(BOTH, 0)}; {counts.get(AUTHOR, 0)} are for the authors alone.",
        "",
        *([f"**{_stamps(run)}**", ""] if _stamps(run) else []),
        *_rows(table, ("item", "asks", "answer", "where", "author")),
    ]
    return "\n".join(lines) + "\n"


def _bias_text(run: GroupRun, table: pd.DataFrame) -> str:
    counts = table["judged"].value_counts()
    told = ", ".join(f"{counts.get(word, 0)} {word}" for word in probast.ANSWERS)
    lines = [
        f"# Risk of bias of run {run.folder.name}, by its own files",
        "",
        f"Written by NociCast {__version__}: {told}. The questions are in our own words, by their "
        f"numbers in PROBAST ({probast.SOURCE}); those that PROBAST+AI asks beyond stand under AI, "
        "without its numbers. A self-assessment is no assessment: who judges should not be who "
        "made the model.",
        "",
        *([f"**{_stamps(run)}**", ""] if _stamps(run) else []),
        *_rows(table, ("question", "asks", "judged", "why", "where")),
    ]
    return "\n".join(lines) + "\n"


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    heads = {"asks": "asked", "author": "for the authors"}
    lines = [f"| {' | '.join(heads.get(name, name) for name in columns)} |"]
    lines.append("|" + "---|" * len(columns))
    lines += [
        "| " + " | ".join(_cell(str(row[name])) for name in columns) + " |"
        for row in table.to_dict("records")
    ]
    return lines


def _stamps(run: GroupRun) -> str:
    return "; ".join(filter(None, [run.recipe.simulation.stamp, stamp_text(run.leaks)]))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())

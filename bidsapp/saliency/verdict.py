"""The verdict on maps: pass, fail, or not decisive, from what each check found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.evaluation.stamp import stamped

COLUMNS = ("check", "of", "value", "low", "high", "limit", "n", "result", "meaning")
PASS, FAIL, UNDECIDED, NOT_RUN = "pass", "fail", "not decisive", "not run"
# What a map must have passed: the others can only speak against it.
NEEDED = ("forecast", "weights", "labels", "halves", "edges", "voxels")
_TITLES = {
    "forecast": "the forecast",
    "weights": "networks without trained weights",
    "labels": "networks trained on shuffled outcomes",
    "halves": "networks trained on halves of the people",
    "edges": "edges of the anatomy",
    "voxels": "voxels taken away and given",
}


EARLIER = "Not decisive: the maps passed the checks of an earlier version, which noise passed too."
_WORST_FIRST = (FAIL, "unclear", NOT_RUN, PASS)


@dataclass
class Findings:
    """Rows of ``sanity.tsv`` and sentences, as the checks find them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    cell: str = "voxel"

    def note(self, check: str, result: str, sentence: str = "", **values: Any) -> None:
        """Add one finding; a sentence is for the report too."""
        self.rows.append({"check": check, "result": result, "meaning": sentence} | values)
        if sentence:
            self.sentences.append(sentence)

    def result(self, check: str) -> str:
        """Give the result of one check: the worst where it was made of several channels."""
        found = {row["result"] for row in self.rows if row["check"] == check} - {"info"}
        return next((word for word in _WORST_FIRST if word in found), NOT_RUN)

    @property
    def verdict(self) -> str:
        """``fail`` if any check failed, ``pass`` if all of `NEEDED` passed, else undecided.

        A check that was not run, or whose result is unclear, has not passed.
        """
        if any(row["result"] == FAIL for row in self.rows):
            return FAIL
        return PASS if all(self.result(check) == PASS for check in NEEDED) else UNDECIDED

    @property
    def passed(self) -> list[str]:
        """Checks of `NEEDED` that passed."""
        return [check for check in NEEDED if self.result(check) == PASS]

    @property
    def made(self) -> list[str]:
        """Checks of `NEEDED` that were made, whatever they found."""
        return [check for check in NEEDED if self.result(check) != NOT_RUN]

    def plain(self) -> dict[str, Any]:
        """For the sidecars and the report."""
        return {
            "verdict": self.verdict,
            "sentences": [*self._lacking(), *self.sentences],
            "checks": {check: self.result(check) for check in NEEDED},
        }

    def _lacking(self) -> list[str]:
        """Say what keeps maps that failed nothing from passing."""
        if self.verdict != UNDECIDED:
            return []
        titles = _TITLES | {"voxels": _TITLES["voxels"].replace("voxel", self.cell)}
        left = [f"{titles[c]} ({self.result(c)})" for c in NEEDED if self.result(c) != PASS]
        return [
            f"Not decisive: {len(self.passed)} of {len(NEEDED)} checks passed; not these: "
            f"{', '.join(left)}."
        ]

    def write(self, path: Path, stamp: str = "") -> None:
        """Write ``sanity.tsv``, each row with the stamp of a leak if there is one."""
        write_table(path, stamped(pd.DataFrame(self.rows, columns=list(COLUMNS)), stamp))


def together(findings: Sequence[Findings], names: Sequence[str]) -> dict[str, Any]:
    """Judge maps that were joined: they fail with any of them, and pass where all do.

    Returns
    -------
    dict
        ``verdict``, ``sentences`` with the variants' names, and ``checks``, each with the worst
        result of the variants.
    """
    verdicts = [one.verdict for one in findings]
    verdict = FAIL if FAIL in verdicts else PASS if set(verdicts) == {PASS} else UNDECIDED
    told = [
        f"{name}: {text}"
        for name, one in zip(names, findings, strict=True)
        for text in one.plain()["sentences"]
    ]
    results = {check: {one.result(check) for one in findings} for check in NEEDED}
    checks = {
        check: next((word for word in _WORST_FIRST if word in found), NOT_RUN)
        for check, found in results.items()
    }
    return {"verdict": verdict, "sentences": told, "checks": checks}


def verdict_of(sanity: Mapping[str, Any] | None) -> str:
    """Read the verdict from what a summary, a sidecar or a bundle holds of the checks.

    Returns
    -------
    str
        ``pass``, ``fail``, ``not decisive`` or ``not run``. A pass without the results of the
        single checks is of an earlier version, by whose rules maps of noise passed too: it counts
        as not decisive.
    """
    found = dict(sanity or {})
    verdict = str(found.get("verdict", NOT_RUN))
    return UNDECIDED if verdict == PASS and "checks" not in found else verdict


def mark_of(verdict: str) -> str:
    """Give the word that marks a file's name by the verdict on its map.

    Returns
    -------
    str
        ``Suspect`` of one that failed, ``Undecided`` where the checks are not decisive; empty of
        one that passed, and of one that was never checked.
    """
    return {FAIL: "Suspect", UNDECIDED: "Undecided"}.get(verdict, "")

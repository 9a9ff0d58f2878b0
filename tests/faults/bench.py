"""A job of the app that was run once undisturbed, beside which disturbed runs are laid."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.disturbed import Ended, disturbed, moments, same
from tests.faults.jobs import Job
from tests.integration.group_studies import copy_study
from tests.integration.running import command


@dataclass(frozen=True)
class Bench:
    """What a job reads (`clean`), and what it wrote when nobody disturbed it (`calm`).

    Attributes
    ----------
    job
        Of the app.
    root
        Folder that holds both.
    trained
        Root of the group level's calm run, whose bundle jobs with --model take.
    seconds
        That the undisturbed run took.
    moments
        Phase to how often it touched files in it.
    """

    job: Job
    root: Path
    trained: Path
    seconds: float = 0.0
    moments: dict[str, int] | None = None

    @classmethod
    def undisturbed(cls, job: Job, root: Path, trained: Path) -> "Bench":
        """Write what a job reads, and run it."""
        bench = cls(job, root, trained)
        job.make(bench.clean, trained)
        copy_study(bench.clean, bench.calm)
        began = time.monotonic()
        ended = bench.run(bench.calm)
        seconds = time.monotonic() - began
        assert ended.code == 0, ended.said
        found = moments(ended.journal, job.phases)
        assert all(found.values()), found
        return cls(job, root, trained, seconds, found)

    @property
    def clean(self) -> Path:
        return self.root / "clean"

    @property
    def calm(self) -> Path:
        return self.root / "calm"

    def fresh(self, place: Path, *, linked: bool = True) -> Path:
        """Copy what the job reads; images, which are only ever replaced whole, may be linked."""
        shutil.rmtree(place, ignore_errors=True)
        return copy_study(self.clean, place) if linked else shutil.copytree(self.clean, place)

    def moment(self, phase: str, share: float = 0.5, **deed: Any) -> dict[str, Any]:
        """Part of a rule: a moment in a phase, the middle if nothing is said."""
        match = next(one.match for one in self.job.phases if one.name == phase)
        assert self.moments is not None
        return {"match": match, "at": max(1, round(self.moments[phase] * share)), **deed}

    def command(self, place: Path) -> list[str]:
        """How the job is started by a user."""
        return command(*self.job.arguments(place, self.trained))

    def run(
        self, place: Path, *rules: dict[str, Any], more: Sequence[Path] = (), **how: Any
    ) -> Ended:
        """Run the job in a folder, disturbed as the rules say; `more` are folders it writes to."""
        arguments = self.job.arguments(place, self.trained)
        journal = place.parent / f"{place.name}-journal"
        return disturbed(arguments, [place, *more], journal, *rules, **how)

    def differs(self, place: Path) -> list[str]:
        """What a run's output differs in from that of the undisturbed one."""
        return same(self.calm / "out", place / "out")

    def goes_on(self, place: Path, *, why: str = "", **how: Any) -> None:
        """Let a disturbed run go on to its end, which has to be that of the undisturbed one."""
        ended = self.run(place, **how)
        assert ended.code == 0, f"{why}: {ended.said}"
        found = self.differs(place)
        assert not found, f"{why}: {found}"

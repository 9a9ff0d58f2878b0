"""What is told while a run goes on, and at its end; the same as a table under ``logs/``."""

import sys
import time
import uuid
from dataclasses import dataclass, fields
from pathlib import Path

from bidsapp.derivatives.atomic import make_folder, write_text
from bidsapp.errors import joint_code
from bidsapp.execution.status import StatusLine, readable
from bidsapp.options import RunOptions


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes
    ----------
    status
        ``done``, ``cached`` (was there already), ``refused`` (before work began) or ``failed``.
    verdict
        Quality of the preparation, ``n/a`` where there is none.
    exit_code
        What the run should end with on account of this image.
    expected
        False for a defect of the app or a lost machine.
    part
        Which part of the scan, as people write it (``C6-L``); empty where a scan is one unit.
    """

    participant: str
    session: str | None
    status: str
    verdict: str
    reason: str
    exit_code: int
    measures: str = ""
    report: str = ""
    expected: bool = True
    part: str = ""

    @classmethod
    def refused(
        cls, participant: str, session: str | None, reason: str, exit_code: int, part: str = ""
    ) -> "Outcome":
        """Tell of an image, or a lack of one, on which no work is begun."""
        return cls(participant, session, "refused", "n/a", reason, exit_code, part=part)

    @classmethod
    def failed(
        cls,
        participant: str,
        session: str | None,
        reason: str,
        exit_code: int,
        *,
        expected: bool,
        part: str = "",
    ) -> "Outcome":
        """Tell of an image whose work broke off."""
        why = ("failed", "n/a", reason, exit_code)
        return cls(participant, session, *why, expected=expected, part=part)

    @property
    def label(self) -> str:
        """``sub-01 ses-2``, and the part where a scan has several."""
        session = f" ses-{self.session}" if self.session else ""
        return f"sub-{self.participant}{session}" + (f" {self.part}" if self.part else "")


class Progress:
    """Tells of each image as it is done, keeps the table, and sums up.

    Parameters
    ----------
    options
        Uses ``output_dir``.
    total
        How many images are worked on.
    prepared
        What becomes of them, in a sentence: ``normalised``.
    """

    def __init__(self, options: RunOptions, total: int, prepared: str) -> None:
        self._prepared = prepared
        stamp = f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self.folder = options.output_dir / "logs"
        make_folder(self.folder)
        self.table = self.folder / f"participant-{stamp}.tsv"
        self.crash_dir = self.folder / f"crash-{stamp}"
        self.status = StatusLine(total, "images", every=options.verbose > 0)
        self._began = time.monotonic()
        self._outcomes: list[Outcome] = []

    @property
    def first_code(self) -> int:
        """Exit code of the first image that failed; 0 where none did."""
        failed = (outcome.exit_code for outcome in self._outcomes if outcome.status == "failed")
        return next(failed, 0)

    def note(self, outcome: Outcome) -> None:
        """Take an outcome in, and tell of it."""
        self._outcomes.append(outcome)
        if outcome.status in ("refused", "failed"):
            if not outcome.expected:
                make_folder(self.crash_dir)
                write_text(
                    self.crash_dir / f"{outcome.label.replace(' ', '_')}.txt", outcome.reason
                )
            first = outcome.reason.strip().splitlines()[0]
            self.status.clear()
            print(f"{outcome.label}: {outcome.status}: {first}", file=sys.stderr, flush=True)
        if outcome.status in ("cached", "failed"):
            self.status.skipped()
        elif outcome.status == "done":
            text = f"{outcome.verdict}, {outcome.measures}"
            text += f". {outcome.reason}" if outcome.reason else ""
            self.status.finished(outcome.label, text, trouble=outcome.verdict != "pass")

    def finish(self) -> int:
        """Write the table, sum up on the terminal, and give the exit code."""
        self.status.close()
        self._write_table()
        done = [o for o in self._outcomes if o.status in ("done", "cached")]
        cached = sum(o.status == "cached" for o in done)
        verdicts = {name: sum(o.verdict == name for o in done) for name in ("pass", "warn", "fail")}
        print(
            f"{len(done)} of {len(self._outcomes)} {self._prepared}"
            + (f" ({cached} were there already)" if cached else "")
            + f": {verdicts['pass']} pass, {verdicts['warn']} warn, {verdicts['fail']} fail."
            + f" It took {readable(time.monotonic() - self._began)}."
        )
        if done:
            print(f"Look at {self.folder.parent / 'quality.html'}: all images, outliers first.")
        bad = [o for o in self._outcomes if o.exit_code]
        if bad:
            print(f"{len(bad)} cannot be used:", file=sys.stderr)
            for outcome in bad[:20]:
                first = outcome.reason.strip().splitlines()[0]
                kind = "quality" if outcome.verdict == "fail" else outcome.status
                print(f"  {outcome.label}: {kind}: {first}", file=sys.stderr)
            if len(bad) > 20:
                print(f"  and {len(bad) - 20} more", file=sys.stderr)
            print(f"All of them with their reasons: {self.table}", file=sys.stderr)
            if self.crash_dir.is_dir():
                print(f"What broke, in full: {self.crash_dir}", file=sys.stderr)
        return joint_code(outcome.exit_code for outcome in bad)

    def _write_table(self) -> None:
        own = ("participant", "session", "expected", "part")
        columns = [field.name for field in fields(Outcome) if field.name not in own]
        parts = any(outcome.part for outcome in self._outcomes)
        lead = ["participant_id", "session_id", *["part_id"] * parts]
        rows = ["\t".join([*lead, *columns])]
        for outcome in self._outcomes:
            values = [f"sub-{outcome.participant}"]
            values.append(f"ses-{outcome.session}" if outcome.session else "n/a")
            values += [outcome.part or "n/a"] * parts
            values += [_cell(getattr(outcome, name)) for name in columns]
            rows.append("\t".join(values))
        write_text(Path(self.table), "\n".join(rows) + "\n")


def _cell(value: object) -> str:
    lines = str(value).strip().splitlines()
    return lines[0].replace("\t", " ") if lines else "n/a"

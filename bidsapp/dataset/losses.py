"""Who was left out of the cohort and why, in lines for the terminal."""

from collections.abc import Collection, Mapping
from typing import Any

from bidsapp.dataset.description import shortened

MUCH = 0.1
"""Share of the people above which a loss is warned of."""


def loss_notes(
    excluded: Mapping[Any, tuple[str, str]],
    inside: Collection[str],
    counting: Collection[str],
) -> list[str]:
    """List reasons of exclusion, and warn where more than a tenth of the people are lost.

    Parameters
    ----------
    excluded
        Participant and session to (reason, detail).
    inside
        Participants of the cohort.
    counting
        Participants who have an image or an outcome: one of them who is not inside is lost.

    Returns
    -------
    list of str
        A heading, a line for each reason with its count and an example, and the warning.
    """
    if not excluded:
        return []
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for key, (reason, detail) in sorted(excluded.items()):
        by_reason.setdefault(reason, []).append((" ".join(filter(None, key)), detail))
    what = "people, scans or parts" if any(len(key) > 2 for key in excluded) else "people or scans"
    notes = [f"Left out, by reason ({len(excluded)} {what}):"]
    for reason, cases in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        who = shortened([name for name, _ in cases], 3)
        notes.append(f"  {reason}: {len(cases)} ({who}); {cases[0][0]}: {cases[0][1]}")
    everybody = set(counting) | set(inside)
    lost = everybody - set(inside)
    if len(lost) > MUCH * len(everybody):
        notes.append(
            f"WARNING: {len(lost)} of {len(everybody)} people ({len(lost) / len(everybody):.0%}) "
            "who have an image or an outcome are not in the cohort. See the reasons above."
        )
    return notes

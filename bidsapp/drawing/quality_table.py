"""The quality numbers of one preparation as rows of a page, and what to do about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bidsapp.contracts.measure import FAIL, WARN, Block, Measure, Zone
from bidsapp.contracts.prepared import RAW, UnitPage
from bidsapp.drawing.pages import plain_text

_OTHERWISE = "Read the reasons above, then look at the pictures."
_AFTER_FAIL = (
    "If it cannot be mended, do nothing: the group level leaves the participant out by itself and "
    "says why in exclusions.tsv."
)
_AFTER_WARN = (
    "If the overlays look right, go on: the group level keeps the participant. If they do not, "
    "leave the participant out with --participant-label."
)


@dataclass(frozen=True)
class Row:
    """One line of the quality table.

    `marks` are the positions of the values on the scale that `zones` divide, 0 to 1.
    """

    key: str
    name: str
    value: str
    expected: str
    meaning: str
    status: str
    zones: tuple[Zone, ...] = ()
    marks: tuple[float, ...] = ()


def quality_rows(measures: Iterable[Measure], quality: Block) -> list[Row]:
    """Lay out a quality block, in the order in which it should be read."""
    shown = [measure for measure in measures if measure.on_page]
    rows = []
    for measure in sorted(shown, key=lambda one: one.place):
        value = quality.get(measure.key)
        missing = value is None
        rows.append(
            Row(
                measure.key,
                measure.title,
                "–" if missing else measure.shown(value),
                measure.expectation(),
                measure.meaning,
                measure.status(value),
                () if missing else measure.zones(),
                () if missing else measure.marks(value),
            )
        )
    return rows


def advice(measures: Sequence[Measure], quality: Block, otherwise: str = _OTHERWISE) -> list[str]:
    """Say what to do about a preparation that is doubtful or failed; empty for a pass.

    Parameters
    ----------
    measures, quality
        The table and what was measured.
    otherwise
        What to do where the verdict hangs on something that is no measure.
    """
    verdict = quality.get("verdict")
    if verdict not in (WARN, FAIL):
        return []
    flagged = [m for m in measures if m.status(quality.get(m.key)) in (WARN, FAIL)]
    # bones of one knee have the same to be done for the same number: it is said once
    steps = list(dict.fromkeys(measure.advice for measure in flagged if measure.advice))
    if len(quality.get("reasons", ())) > len(flagged) or not steps:
        steps.append(otherwise)
    return [*steps, _AFTER_FAIL if verdict == FAIL else _AFTER_WARN]


def common_parts(
    unit: UnitPage,
    measures: Sequence[Measure],
    verdicts: Mapping[str, tuple[str, str]],
    otherwise: str = _OTHERWISE,
) -> dict[str, Any]:
    """Give what the pages of all units show alike: verdict, numbers, origin, settings, software.

    Parameters
    ----------
    unit
        The unit.
    measures
        What was measured of it.
    verdicts
        ``pass``, ``warn`` and ``fail`` to a word, and a sentence on what may be done with the unit.
    otherwise
        What to do where the verdict hangs on something that is no measure.
    """
    word, sentence = verdicts[unit.quality["verdict"]]
    return {
        "verdict": {"status": unit.quality["verdict"], "word": word, "sentence": sentence},
        "quality": unit.quality,
        "rows": quality_rows(measures, unit.quality),
        "advice": advice(measures, unit.quality, otherwise),
        "notes": unit.facts.get("notes") or (),
        "source": next(iter(unit.provenance.sources), "").removeprefix(RAW),
        "chosen_because": unit.provenance.selection,
        "command": unit.command,
        "settings": {str(k): plain_text(v) for k, v in unit.provenance.settings.items()},
        "versions": {str(k): plain_text(v) for k, v in unit.facts["software"].items()},
    }

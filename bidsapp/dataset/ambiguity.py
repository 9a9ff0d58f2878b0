"""Several images where one is needed: the filter that would choose."""

from collections.abc import Mapping, Sequence
from typing import Any

# Entities that tell images of one participant and session apart, most telling first.
ORDER = (
    "acquisition", "reconstruction", "run", "echo", "part", "ceagent", "inv", "flip", "mt",
    "proc", "direction", "modality", "chunk", "sample", "nucleus", "volume", "staining", "tracer",
    "task", "space", "recording", "extension",
)  # fmt: skip


def choosing_filter(candidates: Sequence[Mapping[str, str]]) -> tuple[int, dict[str, Any]]:
    """Find the shortest filter that leaves one of the candidates.

    Parameters
    ----------
    candidates
        Entities of each image.

    Returns
    -------
    index, filter
        Which candidate it leaves, and ``{entity: value}`` with None for an absent entity.
        The filter is empty where no entity tells the candidates apart.
    """
    telling = [e for e in ORDER if len({c.get(e) for c in candidates}) > 1]
    for entity in telling:
        values = [c.get(entity) for c in candidates]
        single = [i for i, value in enumerate(values) if values.count(value) == 1]
        # A value that is written in the name says more than the absence of one.
        for index in sorted(single, key=lambda i: values[i] is None):
            return index, {entity: _plain(entity, values[index])}
    for index, entities in enumerate(candidates):
        chosen = {e: entities.get(e) for e in telling}
        if sum(all(c.get(e) == v for e, v in chosen.items()) for c in candidates) == 1:
            return index, {e: _plain(e, v) for e, v in chosen.items()}
    return 0, {}


def _plain(entity: str, value: str | None) -> str | int | None:
    return int(value) if entity in ("run", "echo", "flip", "inv") and value else value

"""Whether an image was taken with a contrast agent, by its name and its JSON sidecar."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_FIELD = re.compile(r"ContrastBolus.+")
_WITHOUT = frozenset(
    {"", "0", "false", "n", "na", "native", "no", "non", "none", "null", "plain", "pre"}
    | {"precontrast", "unenhanced", "without"}
)


def with_contrast(entities: Iterable[str], metadata: Mapping[str, Any]) -> bool:
    """Tell whether a contrast agent was given.

    Parameters
    ----------
    entities
        Of the file's name, as ``ce-gadolinium``. A label that says that there was none
        (``ce-none``, ``ce-pre``) counts as none.
    metadata
        What the JSON sidecars say of the image: `ContrastBolusIngredient`, which BIDS defines, or
        any other field of DICOM's contrast and bolus module (`ContrastBolusAgent`, `…Volume`).
    """
    marks = [entity.partition("-")[2] for entity in entities if entity.startswith("ce-")]
    told = [value for name, value in metadata.items() if _FIELD.fullmatch(name)]
    return any(not _says_without(value) for value in (*marks, *told))


def _says_without(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_says_without, value))
    if isinstance(value, int | float):
        return not value > 0
    return re.sub(r"[^a-z0-9]", "", str(value or "").lower()) in _WITHOUT

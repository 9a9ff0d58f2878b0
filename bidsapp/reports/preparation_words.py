"""The words on how scans were prepared, as each modality says them."""

from collections.abc import Sequence

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.boilerplate import Section


def preparation_sections(images: Sequence[Prepared]) -> list[Section]:
    """Say how units were prepared and judged, in the words of each modality."""
    of: dict[str, list[Prepared]] = {}
    for image in images:
        of.setdefault(image.modality, []).append(image)
    return [
        Section(heading, paragraphs)
        for name, mine in of.items()
        for heading, paragraphs in modality_named(name).words(mine).items()
    ]

"""Which atlases a run uses: those that come with the app and hold in the space, and those named."""

from collections.abc import Sequence

from bidsapp.errors import UsageError
from bidsapp.representation.window import Window
from bidsapp.saliency.atlas import EMBEDDED, Atlas, embedded_atlases, resolve_atlas


def choose_atlases(
    names: Sequence[str], window: Window, space: str
) -> tuple[list[Atlas], list[str]]:
    """Give every atlas of a run, on the full grid of a window, with notes.

    Parameters
    ----------
    names
        Of the recipe's ``saliency.atlases``; an embedded one that is named is there once.
    window
        Whose full grid the labels are brought to.
    space
        Label of the template in which the maps are.

    Raises
    ------
    UsageError
        Two atlases would go by one name in the tables, or a name is not known.
    BadData, NoInput
        As `resolve_atlas` does.
    """
    atlases, notes = embedded_atlases(window, space)
    whose = {atlas.name: f"the app's own atlas {atlas.name}" for atlas in atlases}
    for name in names:
        atlas = resolve_atlas(name, window, space)
        if name in EMBEDDED:
            continue
        if atlas.name in whose:
            raise UsageError(
                f"saliency.atlases (--atlas): {whose[atlas.name]} and {name} would both be called "
                f"{atlas.name} in the tables; rename one file, and its table, or leave one out"
            )
        whose[atlas.name] = name
        atlases.append(atlas)
        notes += [f"atlas {atlas.name}: {atlas.note}"] if atlas.note else []
    return atlases, notes

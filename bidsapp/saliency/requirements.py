"""What the maps of a run will need, refused before anything is trained if it cannot be used."""

from collections.abc import Sequence

import pandas as pd

from bidsapp.contracts.space import Space
from bidsapp.errors import UsageError
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.atlas import EMBEDDED, Atlas, embedded_atlases, resolve_atlas
from bidsapp.saliency.covariates import check_covariates


def check_maps(
    sections: Sequence[Saliency], cohort: pd.DataFrame, whole: Space, space: str
) -> list[str]:
    """Refuse covariates and atlases that the group's test and tables could not use.

    Parameters
    ----------
    sections
        The ``saliency`` section of each variant.
    cohort
        The table of ``cohort.tsv``.
    whole
        Where prepared maps lie.
    space
        Label of their template.

    Returns
    -------
    list of str
        What a reader of the tables should know, each once.

    Raises
    ------
    UsageError, BadData, NoInput
        As `check_covariates` and `choose_atlases` do.
    """
    for section in sections:
        if section.permutations:
            check_covariates(cohort, section.covariates)
    notes: list[str] = []
    if not whole.common:
        return notes
    for names in dict.fromkeys(section.atlases for section in sections):
        notes += choose_atlases(names, whole, space)[1] if names else []
    return list(dict.fromkeys(notes))


def choose_atlases(names: Sequence[str], space: Space, label: str) -> tuple[list[Atlas], list[str]]:
    """Give every atlas of a run, on the full grid of a space, with notes.

    Parameters
    ----------
    names
        Of the recipe's ``saliency.atlases``; an embedded one that is named is there once.
    space
        Whose full grid the labels are brought to.
    label
        Label of the template in which the maps are.

    Raises
    ------
    UsageError
        Two atlases would go by one name in the tables, or a name is not known.
    BadData, NoInput
        As `resolve_atlas` does.
    """
    atlases, notes = embedded_atlases(space, label)
    whose = {atlas.name: f"the app's own atlas {atlas.name}" for atlas in atlases}
    for name in names:
        atlas = resolve_atlas(name, space, label)
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

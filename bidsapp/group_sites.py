"""Hold out whole sites in turn, where a cohort has sites enough: what new sites would see."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bidsapp.errors import BadData, UsageError
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, apply_values

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.dataset.cohort import Cohort

FEWEST_SITES, FEWEST_PEOPLE = 3, 10
_KEEP = "--set protocol.by_site=never keeps folds over all people"


def sites_in_turn(
    recipe: Recipe, variants: Sequence[str], table: "pd.DataFrame", *, given: bool = False
) -> tuple[Recipe, "pd.DataFrame", str]:
    """Hold out sites in turn instead of folds, where the recipe leaves that open.

    Parameters
    ----------
    recipe
        Of the run; its ``evaluation.site`` names the column.
    variants
        Those that are run.
    table
        The cohort table.
    given
        Whether the splits are the user's own.

    Returns
    -------
    recipe, table
        As they were, or with protocol ``leave_one_group_out`` and the sites as groups.
    note
        What a person has to know; empty where there is nothing to say.
    """
    from bidsapp.dataset.covariates import users_column
    from bidsapp.dataset.groups import one_spelling
    from bidsapp.dataset.missing import is_missing
    from bidsapp.training.crossfit import crossfit_splits
    from bidsapp.training.run import run_splits
    from bidsapp.training.search import check_searches

    site = recipe.with_variant(variants[0]).evaluation.site
    protocols = [recipe.with_variant(name).protocol for name in variants]
    auto = all(one.by_site == "auto" and one.groups is None for one in protocols)
    if site is None or given or not auto or recipe.binds(variants):
        return recipe, table, ""
    column = users_column(map(str, table.columns), site)
    if column is None:
        return recipe, table, ""
    texts = table[column].fillna("").astype(str)
    people = texts.where(~texts.map(is_missing), "").map(lambda text: text and one_spelling(text))
    own = table.assign(group=people).drop_duplicates("participant_id")
    sizes = own[own["group"] != ""]["group"].value_counts()
    if (sizes >= FEWEST_PEOPLE).sum() < FEWEST_SITES:
        return recipe, table, ""
    many = f"Sites: {(sizes >= FEWEST_PEOPLE).sum()} of at least {FEWEST_PEOPLE} people in {site}"
    sites = table.assign(group=people)
    try:
        changed = _in_turn(recipe, site, own, sites)
        splits = run_splits(changed, variants, sites, None)
        crossfit_splits(changed, variants, sites, splits)
        check_searches(changed, variants, sites, splits)
    except (UsageError, BadData) as error:
        return recipe, table, f"{many}, and yet they are not held out in turn: {error}"
    note = (
        f"{many}: whole sites are held out in turn (leave-one-site-out), so that the result is "
        f"about sites that training did not see; {_KEEP}."
    )
    return changed, sites, note


def _in_turn(recipe: Recipe, site: str, people: "pd.DataFrame", sites: "pd.DataFrame") -> Recipe:
    """Give the recipe with sites held out in turn.

    Raises
    ------
    UsageError
        It cannot be had with these people, or beside other keys of the recipe.
    """
    lost = people.loc[people["group"] == "", "participant_id"]
    if len(lost):
        raise UsageError(f"{len(lost)} people have no site ({lost.iloc[0]}).")
    if (sites.groupby("participant_id")["group"].nunique() > 1).any():
        raise UsageError("some people were scanned at several sites.")
    both = people.groupby("group")["outcome"].nunique()
    if (both < 2).all():
        raise UsageError("no site has people of both outcomes.")
    return apply_values(recipe, {"protocol.kind": "leave_one_group_out", "protocol.groups": site})


def by_sites(
    recipe: Recipe, variants: Sequence[str], cohort: "Cohort", options: RunOptions
) -> tuple[Recipe, "Cohort"]:
    """Do as `sites_in_turn` with a cohort, and say so on the terminal."""
    given = options.splits is not None
    changed, table, note = sites_in_turn(recipe, variants, cohort.table, given=given)
    if note:
        print(note, file=sys.stderr)
    return changed, (cohort if table is cohort.table else replace(cohort, table=table))

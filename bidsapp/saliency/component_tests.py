"""Positives against negatives in their own maps of each component, corrected over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bidsapp.errors import BadData
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.group_tables import CONTRAST, write_rounded
from bidsapp.saliency.group_test import design_of
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.max_t import MaxT, corrected_p, max_t
from bidsapp.saliency.people import PeopleMaps, people_maps
from bidsapp.saliency.stack import MapStack

NAME = "component_groups.tsv"
_ALPHA = 0.05
NOTE = (
    f"{NAME}: people's own maps of each component, as their fold's step makes them of the series, "
    "positives against negatives at every voxel; no network has a part in it. p is by permutation, "
    "corrected by the largest |t| over the voxels of all components"
)
DESCRIPTIVE = (
    f"{NAME} has no p: a step that looks at the outcome chose which components there are maps of"
)


@dataclass(frozen=True)
class ComponentTest:
    """The comparison of one component's maps.

    Attributes
    ----------
    people
        Whose maps are compared, unsmoothed beyond what the preparation did.
    found
        Its test, corrected over the voxels of this component.
    p_all
        (voxels,) p corrected over the voxels of all components.
    covariates
        Columns adjusted for.
    """

    people: PeopleMaps
    found: MaxT
    p_all: np.ndarray
    covariates: tuple[str, ...]


def compare_components(
    stack: MapStack,
    inside: np.ndarray,
    covariates: pd.DataFrame | None,
    columns: Sequence[str] | None,
    *,
    threshold: float,
    permutations: int,
    seed: int,
) -> tuple[dict[str, ComponentTest], list[str]]:
    """Compare positives with negatives, component by component, by one family of tests.

    Nobody's own map of a component depends on anybody's outcome, so outcomes are exchangeable, and
    maps are permuted (`max_t`): between people of one fold where folds have components of their
    own and both classes. The same orders serve for all components.

    Parameters
    ----------
    stack
        From `component_people.own_maps`; people without a component have NaN.
    inside
        Bool of the space's shape.
    covariates, columns
        As for `group_test.compare_groups`.
    threshold
        Probability from which a scan counts as predicted positive.
    permutations, seed
        Of the test.

    Returns
    -------
    tests
        By component; those that too few people have are left out.
    notes
        What was left out, and why.
    """
    done: dict[str, tuple[PeopleMaps, MaxT, tuple[str, ...]]] = {}
    notes: list[str] = []
    for number, name in enumerate(stack.channels):
        there = np.flatnonzero([np.isfinite(one[number]).all() for one in stack.values])
        if not len(there):
            continue
        rows = stack.rows.iloc[there].reset_index(drop=True)
        values = stack.values[there, number][:, None]
        one = replace(stack, rows=rows, values=values, channels=(name,))
        people = people_maps(one, inside, fwhm_mm=0, threshold=threshold, cell="all", source=name)
        design, why = design_of(people, covariates, columns)
        if design is None:
            notes += why
            continue
        try:
            found = max_t(
                *(design.values, design.outcome, design.nuisance),
                permutations=permutations,
                blocks=design.blocks,
                rng=np.random.default_rng([seed, 4]),
            )
        except BadData as error:
            notes.append(f"no comparison of the maps of {name}: {error}")
            continue
        done[name] = people, found, design.names
    null = np.max([found.null for _, found, _ in done.values()], axis=0) if done else np.empty(0)
    tests = {
        name: ComponentTest(people, found, corrected_p(np.abs(found.t), null), names)
        for name, (people, found, names) in done.items()
    }
    return tests, list(dict.fromkeys(notes))


def write_tests(
    tests: Mapping[str, ComponentTest],
    files: GroupFolder,
    names: Mapping[str, str],
    settings: Saliency,
    *,
    valid: bool,
) -> tuple[dict[str, str], list[str]]:
    """Write `component_groups.tsv`, and maps of t and p of each component in the space."""
    own = replace(files, desc="dualRegression")  # `written` stays the same set
    rows = []
    for name, test in tests.items():
        t, people = test.found.t, test.people
        peak = int(np.abs(t).argmax())
        x, y, z = people.points()[peak]
        counts = {group: people.count(group) for group in ("positives", "negatives")}
        about = {
            "Of": CONTRAST,
            "Channel": name,
            "Network": names.get(name),
            "Covariates": list(test.covariates),
            "DegreesOfFreedom": test.found.df,
            "N": counts,
            "Permutations": settings.permutations if valid else 0,
        }
        entities = {"contrast": "positivesVsNegatives", "channel": name}
        words = f"t of {CONTRAST} in people's own maps of the component {name}."
        own.write(
            entities | {"stat": "t"}, people.block(t), {"Description": words, "Units": "1", **about}
        )
        if valid:
            words = "Two-sided p of t, corrected over the voxels of all components."
            own.write(
                entities | {"stat": "logpfwe"},
                people.block(-np.log10(test.p_all)),
                {"Description": words, "Units": "-log10(p)", **about},
            )
        rows.append(
            {
                "component": name,
                "network": names.get(name),
                **counts,
                "t": float(t[peak]),
                "x": float(x),
                "y": float(y),
                "z": float(z),
                "p_component": float(test.found.p_fwe.min()) if valid else np.nan,
                "p_fwe": float(test.p_all.min()) if valid else np.nan,
                "voxels": int((test.p_all <= _ALPHA).sum()) if valid else None,
            }
        )
    if not rows:
        return {}, []
    table = pd.DataFrame(rows).sort_values("t", key=lambda t: -t.abs(), ignore_index=True)
    write_rounded(files, NAME, table)
    return {"component_groups": NAME}, [NOTE if valid else DESCRIPTIVE]

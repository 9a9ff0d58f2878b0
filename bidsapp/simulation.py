"""Would the pipeline find a known signal in this very cohort: runs with one, and what they show."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bidsapp.dataset.tables import read_frame
from bidsapp.derivatives import write_json
from bidsapp.derivatives.dictionaries import describe_run
from bidsapp.errors import UsageError, joint_code
from bidsapp.evaluation.tsv import read_table, write_table
from bidsapp.intake.json_text import read_own_json
from bidsapp.options import RunOptions

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.phantom.region import Region
    from bidsapp.recipes.schema import Recipe
    from bidsapp.recipes.simulation import Simulation

FOUND_ABOVE = 0.5
NOTHING = "nothing planted: the real run"
COLUMNS = (
    "variant",
    "contrast_sd",
    "auc",
    "ci_low",
    "ci_high",
    "retrained_low",
    "retrained_high",
    "p",
    "found",
    "saliency_inside",
    "saliency_chance",
    "saliency_possible",
    "map",
    "run",
    "note",
)


def simulated_cohort(
    cohort: "Cohort", recipe: "Recipe", variants: Sequence[str], folder: Path
) -> "Cohort":
    """Plant what the recipe asks for; the cohort itself where it asks for nothing.

    Parameters
    ----------
    cohort
        Its files lie on one grid.
    recipe
        With its section ``simulation``.
    variants
        Those that are run; which of them see the cuboid is said.
    folder
        Where changed copies of the images go.

    Raises
    ------
    UsageError
        No variant sees any of the cuboid, or it cannot be planted.
    """
    plan = recipe.simulation
    if plan.kind == "none":
        return cohort
    from bidsapp.phantom.planted import plant
    from bidsapp.training.permute_outcomes import shuffled_outcomes

    region = _region(plan)
    _say_what_is_seen(cohort, recipe, variants, region)
    outcome = cohort.table["outcome"].to_numpy()
    if plan.outcome == "permuted":
        import numpy as np

        rng = np.random.default_rng([recipe.protocol.seed, 17])
        grouped = recipe.binds(variants)
        outcome = shuffled_outcomes(cohort.table, grouped, rng)
    planted = plant(cohort, outcome, region, plan.contrast_sd or 0.0, folder)
    print(f"{plan.stamp}; the real images and runs are left alone.")
    return replace(planted, table=planted.table.assign(simulated=plan.stamp))


def _region(plan: "Simulation") -> "Region":
    from bidsapp.phantom.region import Region

    assert plan.centre_mm is not None
    assert plan.size_mm is not None
    return Region("cuboid", plan.centre_mm, plan.size_mm)


def _say_what_is_seen(
    cohort: "Cohort", recipe: "Recipe", variants: Sequence[str], region: "Region"
) -> None:
    """Tell what share of the cuboid lies in the window of each variant."""
    from bidsapp.phantom.planted import cuboid, grid_of
    from bidsapp.representation.spec import space_of
    from bidsapp.spaces.files import Whole

    shape, affine = grid_of(cohort.files[0].image)
    whole = cuboid(shape, affine, region)
    image = Whole(whole, affine, {})
    seen = {
        name: float(
            space_of(recipe.with_variant(name).representation, image).cut(whole).sum() / whole.sum()
        )
        for name in variants
    }
    if not any(seen.values()):
        raise UsageError(
            f"simulation: the cuboid at {region.centre_mm} mm lies outside the window of every "
            f"variant ({', '.join(seen)}); move it with --simulate-centre."
        )
    for name, share in seen.items():
        if share < 0.999:
            print(f"{name} sees {share:.0%} of the cuboid.", file=sys.stderr)


def stamp_maps(folder: Path, stamp: str) -> None:
    """Say in every sidecar and table below a folder that the maps are of a simulation.

    Parameters
    ----------
    folder
        The run's ``saliency``.
    stamp
        Of the simulation; empty for a real run, which stays as it is.
    """
    if not stamp:
        return
    for path in sorted(folder.rglob("[!.]*.json")):
        if path.with_suffix(".tsv").exists():
            continue  # a data dictionary, which says of the column what it is
        content = read_own_json(path)
        write_json(path, content | {"Simulated": stamp})
    for path in sorted(folder.rglob("[!.]*.tsv")):
        table = read_frame(path)
        write_table(table.assign(simulated=stamp), path)


def simulate(options: RunOptions, run: Callable[[RunOptions], int]) -> tuple[int, Path | None]:
    """Run the pipeline once for each contrast, and put together what it found.

    Each run has a folder of its own (`Simulation.run_label`); the sensitivity curve lies in
    ``<label>-cuboid/`` beside them. Where the real run is there, it is the curve's beginning: what
    the outcome itself gives without a cuboid.

    Parameters
    ----------
    options
        `simulate` holds the contrasts.
    run
        The group level.

    Returns
    -------
    code
        Exit code of the runs, `joint_code`.
    curve
        Folder of the sensitivity curve; None where no run ended well.
    """
    from bidsapp.recipes import load_recipe

    contrasts = list(dict.fromkeys(options.simulate))
    codes, tables = [], []
    for contrast in contrasts:
        overrides = (*options.overrides, f"simulation.contrast_sd={contrast:g}")
        codes.append(run(replace(options, simulate=(), overrides=overrides)))
        recipe = load_recipe(options.recipe, overrides, options.variants)
        label = options.run_label or recipe.name
        if codes[-1] == 0:
            folder = options.output_dir / "group" / recipe.simulation.run_label(label)
            tables.append(sensitivity(folder, recipe.simulation))
    real = options.output_dir / "group" / label
    if tables and recipe.simulation.outcome == "own" and (real / "metrics.tsv").is_file():
        nothing = sensitivity(real, recipe.simulation).assign(contrast_sd=0.0, note=NOTHING)
        simulated = pd.concat(tables)["variant"]
        tables.insert(0, nothing[nothing["variant"].isin(simulated)])
    curve = None
    if tables:
        drawn = "" if recipe.simulation.outcome == "own" else "-permuted"
        curve = options.output_dir / "group" / f"{label}-cuboid{drawn}"
        _write(pd.concat(tables, ignore_index=True), curve, recipe.simulation)
    return joint_code(codes), curve


def sensitivity(folder: Path, plan: "Simulation") -> pd.DataFrame:
    """Read what one simulated run found: pooled AUCs, and where the saliency lies.

    Parameters
    ----------
    folder
        Of the run.
    plan
        What was planted.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. `found` is whether the interval of the pooled AUC (scores as given) lies
        above .5: do these models know whom the signal was planted into. `retrained_low` and
        `retrained_high` allow for training on other people.
    """
    metrics = read_table(folder / "metrics.tsv", ("variant", "scope", "metric", "value"))
    pooled = metrics[metrics["scope"] == "pooled"]
    tests = read_table(folder / "tables" / "permutations.tsv", ("variant", "p"))
    p_values = tests.drop_duplicates("variant", keep="last").set_index("variant")["p"]
    scored = read_table(folder / "scores.tsv", ("variant",))["variant"]
    joined = read_table(folder / "tables" / "ensemble_scores.tsv", ("variant",))["variant"]
    records = []
    for variant in dict.fromkeys([*scored, *joined]):
        rows = pooled[pooled["variant"] == variant].drop_duplicates("metric").set_index("metric")
        limits = rows[["value", "ci_low", "ci_high"]].apply(pd.to_numeric, errors="coerce")
        limits = limits.reindex(["auc", "auc@retrained"])
        auc, low, high = limits.loc["auc"]
        records.append(
            {
                "variant": variant,
                "contrast_sd": plan.contrast_sd,
                "auc": auc,
                "ci_low": low,
                "ci_high": high,
                "retrained_low": limits.loc["auc@retrained", "ci_low"],
                "retrained_high": limits.loc["auc@retrained", "ci_high"],
                "p": pd.to_numeric(p_values.get(variant, "n/a"), errors="coerce"),
                "found": bool(low > FOUND_ABOVE),
                **_where(folder / "saliency" / variant, plan),
                "run": folder.name,
            }
        )
    return pd.DataFrame(records)[list(COLUMNS)]


def _where(folder: Path, plan: "Simulation") -> dict[str, Any]:
    """Where the variant's group map has its top, if the run has one."""
    nan = float("nan")
    shares = {"saliency_inside": nan, "saliency_chance": nan, "saliency_possible": nan}
    nothing = shares | {"map": "", "note": ""}
    summary = folder / "summary.json"
    if not summary.is_file():
        return nothing | {"note": "no saliency map"}
    about = read_own_json(summary)
    name = about.get("default")
    if not name:
        return nothing | {"note": "no group map (an empty group of people)"}
    from bidsapp.phantom.planted import locate

    found = locate(folder / name, _region(plan), plan.contrast_sd or 1.0)
    return {
        "saliency_inside": found.inside,
        "saliency_chance": found.chance,
        "saliency_possible": found.possible,
        "map": str(name),
        "note": "",
    }


def _write(table: pd.DataFrame, folder: Path, plan: "Simulation") -> None:
    """Write table, numbers of the curve and sentences, each stamped, and print the sentences."""
    stamp = plan.stamp.replace(f"{plan.contrast_sd:+g} SD, ", "")
    notes = [note if note == NOTHING else f"{stamp}; {note}".rstrip("; ") for note in table["note"]]
    stamped = table.assign(note=notes)
    write_table(stamped, folder / "tables" / "sensitivity.tsv")
    curve = ["variant", "contrast_sd", "auc", "ci_low", "ci_high", "saliency_inside", "note"]
    write_table(stamped[curve], folder / "figures" / "sensitivity.tsv")
    sentences = [("simulated", stamp), *(("result", _sentence(row)) for _, row in table.iterrows())]
    told = pd.DataFrame(sentences, columns=pd.Index(["kind", "text"]))
    write_table(told, folder / "tables" / "findings.tsv")
    describe_run(folder)
    for text in told["text"]:
        print(text)
    print(f"The curve: {folder / 'tables' / 'sensitivity.tsv'}")


def _sentence(row: pd.Series) -> str:
    if pd.isna(row["auc"]):
        return f"{row['variant']}, {row['contrast_sd']:+g} SD: no pooled AUC."
    verdict = "found, " if row["found"] else "not found, "
    limits = f" ({row['ci_low']:.2f} to {row['ci_high']:.2f})" if pd.notna(row["ci_low"]) else ""
    what = f"{row['contrast_sd']:+g} SD: {verdict}"
    if row["note"] == NOTHING:
        what = f"{NOTHING}, "
    text = f"{row['variant']}, {what}AUC {row['auc']:.2f}{limits}"
    if pd.notna(row["saliency_inside"]):
        text += (
            f"; {row['saliency_inside']:.0%} of the top 1 % of the saliency map lie in the cuboid "
            f"({row['saliency_chance']:.1%} by chance, {row['saliency_possible']:.0%} at most)"
        )
    return f"{text}."

"""A model of one phantom cohort judged on another, of 200 people, by the app's own command.

Run as ``python -m tests.benchmarks.elsewhere`` with ``OMP_NUM_THREADS=1``. Brains of the embedded
template differ by a smooth deformation of some mm, as normalised ones do, by noise, and by how
bright a cuboid in the right insula is; in people with the outcome it is brighter on the mean, so
that nobody can tell all of them. They are written as another pipeline writes them, masked and on
the grid, and read with ``-d``: 200 preparations would take an hour. 60 people, half of them
positive, train; of the 200 a quarter is positive and tissues have another contrast. One training
person is slipped in under another name, once as the very file and once stored anew with noise.
160 more have their scans damaged in ten ways, each at a strength drawn from none to strong, so that
the mild ones are answered: with a model that promises an error rate (``--brighter 0.7``), the
answers have to keep it.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.phantom.region import RIGHT_INSULA, plant_cuboid
from bidsapp.recipes.known_names import SPM12_BOX
from bidsapp.templates.embedded import packaged
from bidsapp.templates.space import filled_brain
from tests.benchmarks.damages import DAMAGES, damaged
from tests.benchmarks.quiet import run_quietly

SPACE = "MNI152NLin2009aSym"
TRAINING, NEW = 60, 200
PREVALENCE, ELSEWHERE = 0.5, 0.25
GAMMA = 1.4
BRIGHTER, BETWEEN = 0.3, 0.2
"""Mean change of the cuboid's intensity in positives, and its SD between people."""
SLIPPED = ("sub-900", "sub-901")
KNOWN = 7
HURT = 160
"""People of a third cohort, whose scans are damaged in turn by `DAMAGES`."""
RECIPE = """\
name: elsewhere
summary: A compact network on a few axial slices, for phantoms
outcome: {column: chronic, positive: ["yes"]}
preparation: {template: MNI152NLin2009aSym, resolution: 2}
representation: {kind: slab, plane: axial, slices: 8}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 12, batch_size: 8, precision: float32}
protocol: {kind: kfold, folds: 4, stratified: true}
evaluation: {tests: [permutation], baselines: [majority], permutations: 200, bootstrap: 400}
"""


class Ground(NamedTuple):
    """What all brains are made of."""

    brain: np.ndarray  # the template's, 1 mm, white matter at 1
    origin: np.ndarray  # mm of its first voxel
    affine: np.ndarray  # of the output grid
    shape: tuple[int, int, int]
    inside: np.ndarray  # the output grid's mask
    brighter: float  # mean change of the cuboid in positives


def ground(brighter: float = BRIGHTER) -> Ground:
    """Lay the embedded template's brain and the output grid."""
    image = nib.Nifti1Image.from_filename(packaged("t1"))
    brain = np.asarray(image.dataobj, np.float32)
    shape = SPM12_BOX[2]
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-78, -112, -70)
    at = _places(shape, affine) - image.affine[:3, 3, None]
    inside = map_coordinates(filled_brain(brain).astype(np.float32), at, order=1) > 0.5
    smooth = gaussian_filter(brain / 230.0, 0.7)
    return Ground(smooth, image.affine[:3, 3], affine, shape, inside.reshape(shape), brighter)


def _places(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """Millimetres of every voxel, (3, n)."""
    index = np.indices(shape, dtype=np.float32).reshape(3, -1)
    return index * affine[0, 0] + affine[:3, 3, None]


def brain_of(
    common: Ground, positive: bool, gamma: float, rng: np.random.Generator, damage: str = ""
) -> np.ndarray:
    """Draw the normalised brain of one person, 0 to 1; `damage` is one of `DAMAGES` or none."""
    contrast = common.brighter * positive + rng.normal(0, BETWEEN)
    at = _places(common.shape, common.affine) - common.origin[:, None]
    for axis in range(3):
        coarse = tuple(-(-n // 8) for n in common.shape)
        field = gaussian_filter(rng.standard_normal(coarse), 1.5)
        fine = zoom(field / field.std() * 1.5, 8, order=1)
        at[axis] += fine[tuple(slice(n) for n in common.shape)].ravel()
    values = map_coordinates(common.brain, at, order=1).reshape(common.shape)
    values = plant_cuboid(
        values, common.affine, RIGHT_INSULA.centre_mm, RIGHT_INSULA.size_mm, max(contrast, -0.9)
    )
    values = np.clip(values, 0, None) ** gamma
    if damage:
        values = damaged(values, damage, rng.uniform(), rng)
    noisy = np.abs(values + rng.normal(0, 0.02, values.shape)) * common.inside
    return (noisy / noisy.max()).astype(np.float32)


def write_person(place: Path, who: str, values: np.ndarray, common: Ground) -> None:
    """Write a brain and its mask as another pipeline does."""
    stem = place / who / "anat" / f"{who}_space-{SPACE}_desc-"
    stem.parent.mkdir(parents=True, exist_ok=True)
    for name, data in (("preproc_T1w", values), ("brain_mask", common.inside.astype(np.uint8))):
        nib.save(nib.Nifti1Image(data, common.affine), f"{stem}{name}.nii.gz")


def write_cohort(
    root: Path,
    common: Ground,
    people: int,
    prevalence: float,
    gamma: float,
    first: int,
    seed: int,
    damages: tuple[str, ...] = ("",),
) -> None:
    """Write a dataset with its derivatives: ``bids`` and ``prep``."""
    rng = np.random.default_rng(seed)
    outcome = rng.permutation(np.arange(people) < round(people * prevalence))
    rows = []
    for k, positive in enumerate(outcome):
        who, damage = f"sub-{first + k}", damages[k % len(damages)]
        brain = brain_of(common, bool(positive), gamma, rng, damage)
        write_person(root / "prep", who, brain, common)
        rows.append((who, ("no", "yes")[int(positive)], rng.integers(20, 70), "FM"[k % 2]))
    for name, kind in (("bids", "raw"), ("prep", "derivative")):
        (root / name).mkdir(exist_ok=True)
        about = {"Name": root.name, "BIDSVersion": "1.10.0", "DatasetType": kind}
        (root / name / "dataset_description.json").write_text(json.dumps(about))
    _write_people(root, rows)


def _write_people(root: Path, rows: list[tuple[object, ...]]) -> None:
    table = root / "bids" / "participants.tsv"
    head = "" if table.is_file() else "participant_id\tchronic\tage\tsex\n"
    with table.open("a") as file:
        file.write(head + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    for who, *_ in rows:
        (root / "bids" / str(who)).mkdir(exist_ok=True)


def slip_in(here: Path, elsewhere: Path, common: Ground) -> None:
    """Give the new cohort a training person twice, under other names."""
    (source,) = (here / "prep" / f"sub-{100 + KNOWN}").rglob("*preproc_T1w.nii.gz")
    values = np.asarray(nib.Nifti1Image.from_filename(source).dataobj, np.float32)
    noise = np.random.default_rng(9).normal(0, 0.01, values.shape)
    again = (np.abs(values * 0.8 + noise) * common.inside).astype(np.float32)
    for who, data in zip(SLIPPED, (values, again), strict=True):
        write_person(elsewhere / "prep", who, data, common)
    _write_people(elsewhere, [(who, "yes", 40, "F") for who in SLIPPED])


def run(root: Path, *arguments: object) -> None:
    """Run the app in this process on a cohort; what it prints goes nowhere.

    Raises
    ------
    RuntimeError
        It ended with another code than 0; the message is what it printed.
    """
    words = (
        *(root / "bids", root / "out", "group", "-d", f"prep={root / 'prep'}"),
        *("--device", "cpu", "--nprocs", 1, "--skip-bids-validation"),
        *arguments,
    )
    run_quietly(words)


def judged(
    place: Path,
    training: int = TRAINING,
    new: int = NEW,
    prevalence: float = ELSEWHERE,
    brighter: float = BRIGHTER,
) -> Path:
    """Train here, judge elsewhere; gives the folder of the validation."""
    common, here, elsewhere = ground(brighter), place / "here", place / "elsewhere"
    here.mkdir(parents=True)
    elsewhere.mkdir()
    write_cohort(here, common, training, PREVALENCE, 1.0, 100, seed=0)
    write_cohort(elsewhere, common, new, prevalence, GAMMA, 1000, seed=1)
    slip_in(here, elsewhere, common)
    recipe = place / "elsewhere.yaml"
    recipe.write_text(RECIPE)
    run(here, "--recipe", recipe, "--no-saliency")
    model = here / "out" / "group" / "elsewhere" / "model" / "base"
    wish = ("--outcome", "chronic", "--positive", "yes", "--recalibrate", "slope")
    run(elsewhere, "--model", model, "--run-label", "external", *wish)
    return elsewhere / "out" / "group" / "external"


def judged_hurt(place: Path, people: int = HURT, brighter: float = BRIGHTER) -> Path:
    """Judge the model of `judged` on people whose scans are damaged; gives the folder."""
    hurt = place / "hurt"
    hurt.mkdir()
    common = ground(brighter)
    write_cohort(hurt, common, people, PREVALENCE, 1.0, 2000, seed=2, damages=DAMAGES)
    model = place / "here" / "out" / "group" / "elsewhere" / "model" / "base"
    run(hurt, "--model", model, "--run-label", "hurt", "--outcome", "chronic", "--positive", "yes")
    return hurt / "out" / "group" / "hurt"


def answered(folder: Path) -> list[str]:
    """Say of everybody, of those answered and of those turned away how often the model is wrong."""
    table = read_table(folder / "tables" / "answers.tsv", ("part", "people", "errors"))
    return [
        f"| {row['part']} | {row['people']} | {row['errors']} | {row['error_rate']} "
        f"({row['ci_low']} to {row['ci_high']}) | {row['promise']} |"
        for row in table.to_dict("records")
    ]


def by_damage(folder: Path) -> list[str]:
    """Say of each kind of damage how many are answered, and how many answers are wrong."""
    answers = read_table(folder / "answers.tsv", ("participant_id", "no_answer"))
    scores = read_table(folder / "scores.tsv", ("participant_id", "outcome", "probability"))
    scores = scores[scores["variant"] == "elsewhere-base"].set_index("participant_id")
    own = scores.loc[answers["participant_id"]]
    wrong = (own["probability"].astype(float) >= 0.5) != (own["outcome"].astype(float) == 1)
    place = answers["participant_id"].str.removeprefix("sub-").astype(int) % len(DAMAGES)
    table = pd.DataFrame({"place": place.to_numpy(), "wrong": wrong.to_numpy()})
    table["why"] = ["" if is_missing(one) else str(one) for one in answers["no_answer"]]
    lines = []
    for k, kind in enumerate(DAMAGES):
        mine = table[table["place"] == k]
        kept = mine[mine["why"] == ""]
        cells = (kind, len(mine), mine["wrong"].sum(), (mine["why"] == "unlike").sum())
        lines.append(f"| {' | '.join(map(str, cells))} | {len(kept)} | {kept['wrong'].sum()} |")
    return lines


def interval_of(folder: Path, variant: str, metric: str) -> tuple[float, float, float]:
    """Value and interval of a pooled metric."""
    table = read_table(folder / "metrics.tsv", ("variant", "metric", "scope"))
    row = table[(table["variant"] == variant) & (table["metric"] == metric)]
    row = row[row["scope"] == "pooled"].iloc[0]
    value, low, high = (float(row[name]) for name in ("value", "ci_low", "ci_high"))
    return value, low, high


def rows_of(folder: Path) -> pd.DataFrame:
    """Say what a validation found: model, recalibrated by intercept, by intercept and slope."""
    metrics = ("auc", "calibration_intercept", "calibration_slope", "observed_expected", "brier")
    rows = []
    for kind in ("", "-intercept", "-slope"):
        cells = []
        for metric in metrics:
            value, low, high = interval_of(folder, f"elsewhere-base{kind}", metric)
            cells.append(f"{value:.2f} ({low:.2f} to {high:.2f})")
        rows.append(((kind.removeprefix("-") or "as trained"), *cells))
    return pd.DataFrame(rows, columns=pd.Index(["recalibrated", *metrics]))


def main(argv: list[str] | None = None, out: Callable[[str], None] = print) -> None:
    """Print what was found in the new cohort, and who was left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", type=int, default=TRAINING)
    parser.add_argument("--new", type=int, default=NEW)
    parser.add_argument("--prevalence", type=float, default=ELSEWHERE, help="of the new people")
    parser.add_argument("--brighter", type=float, default=BRIGHTER, help="the planted effect")
    parser.add_argument("--hurt", type=int, default=HURT, help="people with damaged scans")
    parser.add_argument("--keep", type=Path, help="an empty folder for what is made")
    asked = parser.parse_args(argv)
    place = asked.keep or Path(tempfile.mkdtemp())
    try:
        folder = judged(place, asked.training, asked.new, asked.prevalence, asked.brighter)
        table = rows_of(folder)
        out("| " + " | ".join(table.columns) + " |")
        out("|" + "---|" * len(table.columns))
        for row in table.itertuples(index=False):
            out(f"| {' | '.join(row)} |")
        out("")
        out("Left out:\n")
        gone = read_table(folder / "exclusions.tsv", ("participant_id", "reason"))
        for row in gone.to_dict("records"):
            out(f"- {row['participant_id']}: {row['reason']}")
        cohorts = {"another contrast": folder}
        if asked.hurt:
            cohorts["damaged scans"] = judged_hurt(place, asked.hurt, asked.brighter)
        for name, whose in cohorts.items():
            out(f"\nAnswers, {name}:\n")
            out("| people | how many | errors | error rate | promised |")
            out("|---|---|---|---|---|")
            for line in answered(whose):
                out(line)
        if asked.hurt:
            out("\nDamaged scans, by what was done to them:\n")
            out("| damage | scans | wrong among all | unlike | answered | wrong among these |")
            out("|---|---|---|---|---|---|")
            for line in by_damage(cohorts["damaged scans"]):
                out(line)
        out("\nSaid of the people of another place:\n")
        for text in read_table(folder / "tables" / "findings.tsv", ("kind", "text"))["text"]:
            out(f"- {text}")
    finally:
        if asked.keep is None:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()

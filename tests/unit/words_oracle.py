"""The numbers that a methods text may hold, read from a run's files without the app's code."""

import csv
import json
import re
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bidsapp.drawing.references import references

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)*(?!\w)")
# What a text on normalisation says whatever was run: limits of the verdict, the steps of N4 and
# of the affine, a range of 0 to 1.
NORMALISATION = {
    "200",
    "0.15",
    "0.01",
    "12",
    "8",
    "50",
    "0.001",
    "2",
    "0",
    "1",
    "0.55",
    "0.65",
    "900",
    "2100",
}
NORMALISATION |= {"0.7", "1.3", "0.70", "0.5"}


def prose(markdown: str) -> str:
    """Text without its citations and its list of references."""
    text = markdown.partition("### References")[0]
    names = "|".join(re.escape(one.short) for one in references().values())
    names += r"|Attias et al\., 2025"
    return re.sub(rf"\((?:{names})(?:; (?:{names}))*\)", "", text)


def numbers(text: str) -> set[str]:
    return set(NUMBER.findall(text))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def shown(value: str) -> str:
    return f"{float(value):.2f}"


def numbers_of_run(folder: Path) -> set[str]:
    """Counts, results, settings and versions of a group run."""
    cohort = read(folder / "cohort.tsv")
    people = {row["participant_id"]: float(row["outcome"]) for row in cohort}
    positive = sum(people.values())
    found = {str(len(people)), f"{positive:.0f}", f"{len(people) - positive:.0f}"}
    found |= {f"{100 * positive / len(people):.0f}", str(len(cohort))}
    reasons = Counter(row["reason"] for row in read(folder / "exclusions.tsv"))
    found |= {str(reasons.total()), *map(str, reasons.values())}
    splits = read(folder / "splits.tsv")
    found |= {str(n) for n in Counter((r["repeat"], r["fold"], r["role"]) for r in splits).values()}
    found.add(str(len({row["fold"] for row in splits})))
    wanted = ("auc", "auc@retrained", "auc@within", "balanced_accuracy")
    wanted += ("sensitivity", "specificity")
    for row in read(folder / "metrics.tsv"):
        if row["scope"] == "pooled" and row["metric"] in wanted:
            found |= {shown(row[n]) for n in ("value", "ci_low", "ci_high") if row[n] != "n/a"}
    p = [float(row["p"]) for row in read(folder / "tables" / "permutations.tsv")]
    found |= {f"{value:.3f}" if value >= 0.001 else "0.001" for value in p}
    pairs = [r for r in read(folder / "tables" / "comparisons.tsv") if r["test"] == "delong"]
    found |= {str(sum(row["p"] != "n/a" for row in pairs)), str(len(pairs))}
    for row in pairs:
        if row["p"] != "n/a":
            names = ("difference", "ci_low", "ci_high")
            found |= {f"{abs(float(row[name])):.2f}" for name in names}
            found |= {f"{float(row[name]):.2g}" for name in ("p", "p_holm")}
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    for key in ("notes", "reported"):
        recipe.pop(key)
    found |= {f"{number:g}" for number in _leaves(recipe)}
    found |= {f"{100 * recipe['evaluation']['confidence']:g}", "1"}  # of one output
    for path in folder.glob("model/*/configs/metadata.json"):
        for environment in json.loads(path.read_text())["trained_with"]:
            found |= {token for text in environment["versions"].values() for token in numbers(text)}
    return found


def numbers_of_images(out: Path) -> set[str]:
    """Counts, medians, ranges and versions of what was normalised, and the fixed limits."""
    sidecars = [
        json.loads(path.read_text()) for path in out.glob("sub-*/**/anat/*_desc-preproc_T1w.json")
    ]
    found = NORMALISATION | {str(len(sidecars))}
    verdicts = Counter(one["Quality"]["verdict"] for one in sidecars)
    found |= {str(count) for count in verdicts.values()}
    for key, digits in (("local_ncc", 3), ("ncc", 3), ("brain_volume_ml", 0)):
        values = [one["Quality"][key] for one in sidecars]
        found |= {f"{f(values):.{digits}f}" for f in (median, min, max)}
    for one in sidecars:
        found |= set(one["GeneratedWith"].values())
    return found


def _leaves(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return [float(value)] if number else []

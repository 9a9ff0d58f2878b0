"""What a network that sees old age adds to a noisy copy of age, and to age itself, on real heads.

Run as ``python -m tests.benchmarks.beyond_age DATA --normalised OUT`` with ``OMP_NUM_THREADS=1``.
48 heads of IXI (24 under 36 years, 24 over 55); a compact network on an axial slab, 4 folds, 3
inner folds, so that 16 networks are trained; the second question is asked of the same networks.
Clinical columns are sex and age with noise of 30 years: the scan must be found to add something;
then age itself: it must not. With ``--work`` what is trained is kept, and a run that was stopped
goes on.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.evaluation.tsv import read_table
from tests.benchmarks.quiet import run_quietly

NOISE_YEARS, SEED = 30.0, 21
ASKED = {"sex, age with noise of 30 years": "[sex, age_noisy]", "age itself": "[age]"}
RECIPE = """\
name: pair
summary: What a compact network adds to what is known of age
outcome: {column: age_group, positive: [old], negative: [young]}
representation: {kind: slab, plane: axial, slices: 30, scaling: robust}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 12, schedule: one_cycle, lr: {head: 0.001, backbone: 0.001}}
protocol: {kind: kfold, folds: 4, stratified: true}
evaluation: {tests: [permutation, delong], baselines: [majority], stacking_folds: 3}
"""


def write_study(place: Path, people: pd.DataFrame, normalised: Path) -> None:
    """Write the dataset's tables with a noisy copy of age, and links to the prepared images."""
    bids, out = place / "bids", place / "out"
    for folder in (bids, out):
        folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(SEED).normal(0, NOISE_YEARS, len(people))
    people = people.assign(age_noisy=(people["age"] + noise).round(1))
    people.to_csv(bids / "participants.tsv", sep="\t", index=False)
    about = {"Name": "48 heads of IXI", "BIDSVersion": "1.10.0"}
    (bids / "dataset_description.json").write_text(json.dumps(about))
    for who in people["participant_id"]:
        (bids / who).mkdir(exist_ok=True)
        if not (out / who).exists():
            os.symlink((normalised / who).resolve(), out / who)


def asked(place: Path, clinical: str) -> dict[str, str]:
    """Ask what the scan adds to some columns; gives the findings, and what stands in its tables.

    Raises
    ------
    RuntimeError
        The run ended with another code than 0; the message is what it printed.
    """
    (place / "pair.yaml").write_text(RECIPE)
    words = (
        *(place / "bids", place / "out", "group", "--recipe", place / "pair.yaml"),
        *("-w", place / "work", "--device", "cpu", "--nprocs", 1, "--no-saliency"),
        *("--skip-bids-validation", "--set", f"evaluation.clinical={clinical}"),
    )
    run_quietly(words)
    folder = place / "out" / "group" / "pair"
    findings = read_table(folder / "tables" / "findings.tsv", ("kind", "text"))
    metrics = read_table(folder / "metrics.tsv", ("variant", "metric", "scope", "value"))
    pooled = metrics[(metrics["metric"] == "auc") & (metrics["scope"] == "pooled")]
    aucs = pooled.set_index("variant")["value"].astype(float)
    (sentence,) = findings.loc[findings["kind"] == "added", "text"]
    return {
        "clinical": f"{aucs['clinical']:.2f}",
        "network": f"{aucs['base']:.2f}",
        "both": f"{aucs['clinical + base']:.2f}",
        "said": str(sentence),
    }


def main(argv: list[str] | None = None, out: Callable[[str], None] = print) -> int:
    """Print what is said of each clinical model; 1 where the answers are not the expected ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--normalised", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="where what is trained is kept")
    given = parser.parse_args(argv)
    people = pd.read_csv(given.data / "ixi2mm_dev48" / "participants.tsv", sep="\t")
    place = given.work or Path(tempfile.mkdtemp())
    try:
        write_study(place, people, given.normalised)
        out("| clinical columns | clinical AUC | network | both | said |")
        out("|---|---|---|---|---|")
        told = {}
        for name, columns in ASKED.items():
            told[name] = asked(place, columns)
            out(f"| {name} | {' | '.join(told[name].values())} |")
    finally:
        if given.work is None:
            shutil.rmtree(place, ignore_errors=True)
    noisy, itself = (told[name]["said"] for name in ASKED)
    found = "tells something" in noisy or "shown to add" in noisy.replace("not shown to add", "")
    return 0 if found and "not shown to add anything" in itself else 1


if __name__ == "__main__":
    raise SystemExit(main())

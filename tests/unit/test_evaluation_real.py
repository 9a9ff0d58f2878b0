"""The baselines and a whole evaluation on real people: regional volumes tell old from young."""

import time

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.settings import EvaluationSettings
from tests.unit.evaluation_runs import logistic


@pytest.fixture(scope="module")
def ixi_run(real_data, tmp_path_factory):
    folder = real_data / "ixi2mm_dev48"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    people = pd.read_csv(folder / "participants.tsv", sep="\t")
    volumes = {}
    for who in people["participant_id"]:
        (path,) = (folder / "derivatives" / "dlmuse" / who).rglob("*dseg.nii.gz")
        labels = np.asarray(nib.Nifti1Image.load(path).dataobj).astype(int).ravel()
        volumes[who] = np.bincount(labels, minlength=260)[1:260]
    table = pd.DataFrame(volumes).T
    table = table.loc[:, table.any()]
    table.columns = [f"region_{label + 1}" for label in table.columns]
    outcome = (people["age_group"] == "old").astype(int).to_numpy()
    run = tmp_path_factory.mktemp("ixi")
    cohort = pd.DataFrame(
        {
            "participant_id": people["participant_id"],
            "session_id": "n/a",
            "group": "n/a",
            "outcome": outcome,
            "image": "n/a",
            "sha256": "n/a",
            "quality": "pass",
            "sex": people["sex"],
            "age": people["age"],
        }
    ).join(table.reset_index(drop=True))
    cohort.to_csv(run / "cohort.tsv", sep="\t", index=False)
    rng = np.random.default_rng(0)
    fold = np.empty(48, dtype=int)
    for label in (0, 1):
        fold[outcome == label] = rng.permutation(np.arange(24) % 8 + 1)
    splits = [
        (1, k, who, "test" if fold[i] == k else "train")
        for k in range(1, 9)
        for i, who in enumerate(people["participant_id"])
    ]
    names = ["repeat", "fold", "participant_id", "role"]
    pd.DataFrame(splits, columns=names).to_csv(run / "splits.tsv", sep="\t", index=False)
    blind = cohort[["participant_id", "session_id"]].assign(
        variant="blind",
        repeat=1,
        fold=fold,
        outcome=outcome,
        probability=logistic(rng.normal(size=48)),
    )
    blind.to_csv(run / "scores.tsv", sep="\t", index=False)
    return run


def test_regional_volumes_predict_where_a_blind_network_does_not(ixi_run):
    settings = EvaluationSettings(
        tests=("permutation", "delong", "mcnemar"),
        baselines=(
            "majority",
            "age_sex",
            "logistic",
            "random_forest",
            "xgboost",
            "regions",
        ),
        predictors=("sex",),
        subgroups=("sex",),
        resamples=10_000,
    )
    start = time.process_time()
    result = evaluate(ixi_run, settings)
    assert time.process_time() - start < 60
    pooled = result.metrics[
        (result.metrics["scope"] == "pooled") & (result.metrics["metric"] == "auc")
    ].set_index("variant")["value"]
    assert pooled["regions"] > 0.95
    assert pooled["age_sex"] > 0.99
    assert pooled["logistic"] < 0.65
    assert 0.3 < pooled["blind"] < 0.7
    flagged = result.tables["baselines"].query("flagged")["confound"]
    assert {"regions", "age_sex"} <= set(flagged)
    p = result.tables["comparisons"].query("test == 'delong' and second == 'regions'")["p_holm"]
    assert p.iloc[0] < 0.01  # widened, as these are scores of cross-validation

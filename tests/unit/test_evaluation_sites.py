"""What site tells, before and after: known from how the values were made."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.sites import site_table
from bidsapp.evaluation.state import RunState

NAMES = [f"region_volume_{k}" for k in range(30)]
NONE = pd.DataFrame()


def state(share: tuple[float, float, float], effect: float = 0.0) -> RunState:
    """60 people of three sites; the outcome goes with the site by its share of positives."""
    rng = np.random.default_rng(3)
    site = np.repeat([0, 1, 2], 20)
    outcome = np.concatenate([(np.arange(20) < round(20 * s)).astype(int) for s in share])
    values = rng.normal(size=(60, len(NAMES))) + rng.normal(size=(3, len(NAMES)))[site]
    values[:, :5] += effect * outcome[:, None]
    cohort = pd.DataFrame(
        {
            "participant_id": [f"sub-{k:02d}" for k in range(60)],
            "session_id": "n/a",
            "outcome": outcome,
            "hospital": np.array(["Oslo", "oslo ", "Ghent", "Turin"])[
                np.where(site == 0, np.arange(60) % 2, site + 1)
            ],
        }
    )
    measures = pd.DataFrame(values, columns=pd.Index(NAMES))
    return RunState(Path(), cohort, NONE, NONE, NONE, measures)


def aucs(table: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    keys = table[["told", "by", "harmonised"]].itertuples(index=False, name=None)
    return dict(zip(keys, table["auc"], strict=True))


def test_regional_values_tell_the_site_before_and_not_after() -> None:
    table = site_table(state((0.5, 0.5, 0.5), effect=1.5), EvaluationSettings(site="hospital"))
    found = aucs(table)
    assert found["site", "regional values", "no"] > 0.9
    assert found["site", "regional values", "yes"] < 0.7
    assert found["outcome", "regional values", "yes"] > 0.8  # what is no site's stays
    assert found["outcome", "site", ""] < 0.6
    assert table.loc[0, "note"].startswith("below .5 as every fold has the same share")
    assert (table["n"] == 60).all()


def test_what_goes_with_the_site_alone_goes_with_it() -> None:
    found = aucs(site_table(state((0.9, 0.5, 0.1)), EvaluationSettings(site="hospital")))
    assert found["outcome", "site", ""] > 0.75
    assert found["outcome", "regional values", "no"] > 0.7
    assert found["outcome", "regional values", "yes"] < 0.6


@pytest.mark.parametrize("site", [None, "clinic"])
def test_without_a_site_there_is_no_table(site) -> None:
    assert site_table(state((0.5, 0.5, 0.5)), EvaluationSettings(site=site)).empty

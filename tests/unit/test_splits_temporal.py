"""Splits by the date of the scan: earlier people train, later ones are tested; dates that serve."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.dataset.scan_dates import scan_dates
from bidsapp.errors import BadData, UsageError
from bidsapp.recipes.learning import Inner, Protocol
from bidsapp.training.splits import make_splits
from bidsapp.training.splits_words import splits_words
from tests.unit.cohort_trees import CHRONIC, build, normalise, reasons, study
from tests.unit.synthetic_cohort import small_recipe

PROTOCOL = Protocol(kind="temporal", test_size=0.25)


def cohort(people: int = 40, seed: int = 0) -> pd.DataFrame:
    """People with outcomes and days in random order; the first ten have a second, later scan."""
    rng = np.random.default_rng(seed)
    days = pd.to_datetime("2013-01-01") + pd.to_timedelta(rng.permutation(3 * people), unit="D")
    rows = [(f"sub-{i:02d}", "ses-1", i % 2, str(days[i].date())) for i in range(people)]
    rows += [(f"sub-{i:02d}", "ses-2", i % 2, str((days[i] + pd.Timedelta(9, "D")).date()))
             for i in range(10)]  # fmt: skip
    names = ["participant_id", "session_id", "outcome", "scan_date"]
    return pd.DataFrame(rows, columns=names).sample(frac=1, random_state=seed)


@pytest.mark.parametrize("seed", range(5))
def test_nobody_who_trains_was_scanned_after_anybody_who_is_tested(seed: int) -> None:
    table = cohort(seed=seed)
    splits = make_splits(table, PROTOCOL)
    last = table.groupby("participant_id")["scan_date"].max()
    role = splits.set_index("participant_id")["role"]
    assert sorted(role.index) == sorted(last.index)
    assert last[role[role == "train"].index].max() < last[role[role == "test"].index].min()
    assert (role == "test").sum() == 10  # of 40, no two on one day
    pd.testing.assert_frame_equal(splits, make_splits(table.iloc[::-1], PROTOCOL))


def test_people_of_one_day_or_one_family_stay_together() -> None:
    table = cohort().drop_duplicates("participant_id").sort_values("scan_date")
    table["scan_date"] = np.repeat([f"2015-0{k}-01" for k in range(1, 6)], 8)
    role = make_splits(table, PROTOCOL).set_index("participant_id")["role"]
    tested = table.loc[table["participant_id"].map(role) == "test", "scan_date"]
    assert set(tested) == {"2015-05-01"}  # 8 of 40 is nearer to a quarter than 16
    table["group"] = table["participant_id"].where(~table["scan_date"].isin(
        ["2015-01-01", "2015-05-01"]), "family")  # fmt: skip
    role = make_splits(table, PROTOCOL, grouped=True).set_index("participant_id")["role"]
    family = table.loc[table["group"] == "family", "participant_id"]
    assert set(role[family]) == {"test"}  # as its last scan is


def test_an_inner_split_is_drawn_from_the_earlier_people() -> None:
    splits = make_splits(cohort(), Protocol(kind="temporal", test_size=0.25, inner=Inner(size=0.2)))
    assert splits["role"].value_counts().to_dict() == {"train": 24, "test": 10, "validation": 6}


def test_what_cannot_be_divided_by_date_is_refused() -> None:
    table = cohort()
    with pytest.raises(UsageError, match="the cohort table has no scan_date"):
        make_splits(table.drop(columns="scan_date"), PROTOCOL)
    with pytest.raises(UsageError, match=r"everybody was scanned on one day \(2015-01-01\)"):
        make_splits(table.assign(scan_date="2015-01-01"), PROTOCOL)
    one_class = table.assign(outcome=(table["scan_date"] > "2013-03-01").astype(int))
    with pytest.raises(UsageError, match=r"the held-out part .* has 0 negative"):
        make_splits(one_class, PROTOCOL)


def test_the_day_is_told_from_which_on_people_were_held_out() -> None:
    table = cohort().assign(outcome=lambda t: t["outcome"].astype(str))
    recipe = small_recipe(protocol={"kind": "temporal", "test_size": 0.25, "folds": None})
    splits = make_splits(table, recipe.protocol)
    last = table.groupby("participant_id")["scan_date"].max()
    first = last[splits.loc[splits["role"] == "test", "participant_id"]].min()
    assert splits_words(recipe, table, splits) == (
        "a single split by the date of the scan (held out is whose last scan was acquired on "
        f"{first} or later): in each fold, 30 participants were trained on and 10 held out"
    )


def scan(person: str, session: str = "", source: str = "") -> NormalizedImage:
    return NormalizedImage(person, session, Path("x"), None, {}, "", "x", source=source)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(" ", "\t"))


def dataset(root: Path, *dates: str) -> list[NormalizedImage]:
    found = []
    for number, date in enumerate(dates):
        who = f"sub-{number}"
        text = f"filename acq_time\nanat/{who}_acq-other_T2w.nii.gz 2001-01-01\n"
        write(root / who / f"{who}_scans.tsv", f"{text}anat/{who}_T2w.nii.gz {date}\n")
        found.append(scan(who, source=f"{who}/anat/{who}_T2w.nii.gz"))
    return found


def test_dates_are_those_of_the_scans_own_file_else_of_its_session(tmp_path: Path) -> None:
    scans = dataset(tmp_path, "2019-03-04T12:30:00", "2018-01-01T00:00:00.000Z", "n/a")
    write(tmp_path / "sub-9/sub-9_sessions.tsv", "session_id acq_time\nses-1 2017-05-06T08:00:00\n")
    scans += [scan("sub-9", "ses-1", "sub-9/ses-1/anat/x.nii.gz"), scan("sub-9", "ses-2")]
    assert scan_dates(tmp_path, scans, "T2w") == [
        "2019-03-04",
        "2018-01-01",
        None,
        "2017-05-06",
        None,
    ]


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (("n/a", "n/a"), r"no scan has a date. Looked for acq_time in sub-\*"),
        (("1871-03-04", "1890-01-01"), r"all dates are of 1925 or before \(1871-03-04 of sub-0\): "
         r"BIDS has them shifted.*protocol.shifted_alike: true"),
        (("1871-03-04", "2019-01-01"), r"1 scan of 2 have a date of 1925 or before"),
    ],
)  # fmt: skip
def test_dates_that_do_not_serve_are_refused(tmp_path: Path, dates, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scan_dates(tmp_path, dataset(tmp_path, *dates), "T2w")


def test_dates_shifted_alike_serve_and_one_that_is_none_is_refused_by_its_line(tmp_path: Path):
    scans = dataset(tmp_path, "1871-03-04", "1890-01-01")
    assert scan_dates(tmp_path, scans, "T2w", shifted_alike=True) == ["1871-03-04", "1890-01-01"]
    with pytest.raises(BadData, match=r"sub-0_scans.tsv: line 3 has acq_time '4.3.19'; a date"):
        scan_dates(tmp_path / "other", dataset(tmp_path / "other", "4.3.19"), "T2w")


def test_whoever_has_no_date_is_an_exclusion_by_name_and_the_column_is_there_when_asked_for(
    tmp_path: Path,
) -> None:
    names = [f"sub-0{i}" for i in range(1, 6)]
    rows = "".join(f"{who} {i % 2} 2010-01-0{i + 1}\n" for i, who in enumerate(names))
    study(tmp_path / "bids", f"participant_id chronic scan_date\n{rows}", tuple(names))
    for seed, who in enumerate(names):
        normalise(tmp_path / "out", who, seed)
        if who != "sub-03":
            text = f"filename acq_time\nanat/{who}_T1w.nii.gz 2020-02-0{seed + 1}T10:00:00\n"
            write(tmp_path / "bids" / who / f"{who}_scans.tsv", text)
    plain = build(tmp_path, CHRONIC)
    assert "scan_date" not in plain.table
    found = build(tmp_path, CHRONIC, dated={"shifted_alike": False})
    assert found.table["scan_date"].tolist() == [f"2020-02-0{k}" for k in (1, 2, 4, 5)]
    assert reasons(found) == {"sub-03": "no scan date"}
    # a column of the user's own by that name stays theirs
    assert found.table["dataset.scan_date"].tolist() == [f"2010-01-0{k}" for k in (1, 2, 4, 5)]
    assert list(plain.table["dataset.scan_date"]) == [f"2010-01-0{k}" for k in range(1, 6)]

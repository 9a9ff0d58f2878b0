"""Who is in the cohort and who is not, and why."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidsapp.dataset.cohort import COLUMNS, build_cohort
from bidsapp.dataset.scans import voxel_hash
from bidsapp.dataset.tables import write_table
from bidsapp.errors import BadData, NociCastError, NoInput, NothingSelected, UsageError
from tests.unit.cohort_trees import SPACE, build, heads, normalise, reasons, rule, save, study


def test_the_cohort_and_everybody_who_is_not_in_it(tmp_path: Path) -> None:
    study(
        tmp_path / "bids",
        "participant_id chronic age group\n01 1 30 a\nsub-02 0.0 40 b\nsub-03 n/a 50 a\n"
        "sub-04 1 60 a\nsub-05 1 70 a\nsub-06 unclear 80 b\nsub-08 chronic n/a b\n",
        ("sub-01", "sub-02", "sub-09"),
    )
    out = tmp_path / "out"
    for number in (1, 2, 3, 4, 6, 7, 8):
        normalise(out, f"sub-{number:02d}", number, "fail" if number == 4 else "pass")
    # "unclear" is plainly not "chronic" where a text is positive too: is it negative?
    with pytest.raises(UsageError, match=r"it has 0.0 \(1\), unclear \(1\)"):
        build(tmp_path, rule("chronic", [1, "chronic"]))
    cohort = build(tmp_path, rule("chronic", [1, "chronic"], negative=[0]))
    assert cohort.table["participant_id"].tolist() == ["sub-01", "sub-02", "sub-08"]
    cohort = build(tmp_path, rule("chronic", [1, "chronic"], negative=[0, "unclear"]))
    assert cohort.table["participant_id"].tolist() == ["sub-01", "sub-02", "sub-06", "sub-08"]
    cohort = build(tmp_path, rule("chronic", ["1"]))
    assert tuple(cohort.table.columns) == (*COLUMNS, "age", "dataset.group")
    assert cohort.table["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert cohort.table["outcome"].tolist() == [1, 0]
    assert cohort.table["group"].tolist() == ["sub-01", "sub-02"]
    assert cohort.table["quality"].tolist() == ["pass", "pass"]
    assert cohort.table["dataset.group"].tolist() == ["a", "b"]
    assert (
        cohort.table["image"][0]
        == f"sub-01/anat/sub-01_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz"
    )
    assert cohort.table["sha256"][0] == voxel_hash(cohort.files[0].image)
    assert set(cohort.files[0].channels) == {"t1w", "log_jacobian"}
    assert [file.participant_id for file in cohort.files] == ["sub-01", "sub-02"]
    assert reasons(cohort) == {
        "sub-03": "no outcome",
        "sub-04": "failed quality",
        "sub-05": "no normalised image",
        "sub-06": "neither positive nor negative",
        "sub-07": "participant without rows",
        "sub-08": "neither positive nor negative",
        "sub-09": "no normalised image",
    }
    details = dict(
        zip(cohort.exclusions["participant_id"], cohort.exclusions["detail"], strict=True)
    )
    assert details["sub-04"] == "NCC 0.4 < 0.65"
    assert details["sub-06"] == "chronic is 'unclear'"


@pytest.mark.parametrize("positive", [["1"], [1], [1.0], ["1.0"], ["01"]])
def test_positive_values_as_text_and_as_numbers(tmp_path: Path, positive: list[Any]) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 1.0\n3 0\n4 01\n")
    for number in (1, 2, 3, 4):
        normalise(tmp_path / "out", f"sub-{number}", number)
    assert build(tmp_path, rule("chronic", positive)).table["outcome"].tolist() == [1, 1, 0, 1]


def test_a_positive_value_that_occurs_nowhere_is_refused(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id state\n1 chronic\n2 persistent\n3 acute\n")
    for number in (1, 2, 3):
        normalise(tmp_path / "out", f"sub-{number}", number)
    with pytest.raises(UsageError, match=r"'persistant' is named .* persistent \(1\)"):
        build(tmp_path, rule("state", ["chronic", "persistant"]))


@pytest.mark.parametrize(
    ("positive", "also", "says"),
    [
        (["chronic"], "Chronic", "--positive chronic Chronic"),
        ([1, "chronic"], "CHRONIC", "--positive 1 chronic CHRONIC"),
        (["chronic pain"], "chronic  Pain", "--positive 'chronic pain' 'chronic  Pain'"),
        (["chronic pain"], "chronicpain", "--positive 'chronic pain' chronicpain"),
    ],
)
def test_a_positive_value_in_other_letters_is_not_taken_for_negative(
    tmp_path: Path, positive: list[Any], also: str, says: str
) -> None:
    values = (positive[-1], "recovered", also, also)
    rows = "".join(f"{number}\t{value}\n" for number, value in enumerate(values, start=1))
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "participants.tsv").write_text(f"participant_id\tpain\n{rows}")
    for number in (1, 2, 3, 4):
        normalise(tmp_path / "out", f"sub-{number}", number)
    with pytest.raises(UsageError) as caught:
        build(tmp_path, rule("pain", positive))
    assert f"'pain': {also!r} (2) differs from the positive value {positive[-1]!r}" in str(
        caught.value
    )
    assert says in str(caught.value)
    cohort = build(tmp_path, rule("pain", [positive[-1], also]))
    assert cohort.table["outcome"].tolist() == [1, 0, 1, 1]


def test_a_value_at_a_session_without_a_scan_is_pointed_to(tmp_path: Path) -> None:
    names = ("sub-1", "sub-2", "sub-3")
    root = study(tmp_path / "bids", "participant_id sex\n1 F\n2 M\n3 F\n", names)
    for number, session in ((1, "12mo"), (2, "1"), (3, "1")):
        text = f"session_id\tpain\nses-{session}\t{number % 2}\n"
        (root / f"sub-{number}" / f"sub-{number}_sessions.tsv").write_text(text)
        for visit in (1, 2):
            normalise(tmp_path / "out", f"sub-{number}_ses-{visit}", 10 * number + visit)
    cohort = build(tmp_path, rule("pain", [1]))
    details = dict(
        zip(cohort.exclusions["participant_id"], cohort.exclusions["detail"], strict=True)
    )
    assert "there is one at ses-12mo" in details["sub-1"]
    assert "pain@12mo" in details["sub-1"]
    assert details["sub-2"] == "no value in pain"  # ses-2 only lacks what ses-1 has


def test_true_in_a_recipe_is_true_in_a_table(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 true\n2 FALSE\n3 True\n")
    for number in (1, 2, 3):
        normalise(tmp_path / "out", f"sub-{number}", number)
    assert build(tmp_path, rule("chronic", [True])).table["outcome"].tolist() == [1, 0, 1]


def test_an_expression_over_tables(tmp_path: Path) -> None:
    root = study(tmp_path / "bids", "participant_id head\n1 30\n2 0\n3 n/a\n4 n/a\n")
    (root / "phenotype").mkdir()
    (root / "phenotype" / "neck.tsv").write_text(
        "participant_id\tneck pain\tother\n1\t0\t7\n2\t29\t8\n3\t50\t9\n4\t3\t10\n"
    )
    for number in (1, 2, 3, 4):
        normalise(tmp_path / "out", f"sub-{number}", number)
    cohort = build(tmp_path, rule(expression="head >= 30 or `neck pain` >= 30"))
    assert cohort.table["outcome"].tolist() == [1, 0, 1]
    assert reasons(cohort) == {"sub-4": "no outcome"}
    assert list(cohort.table.columns[len(COLUMNS) :]) == ["other"]


def test_sessions(tmp_path: Path) -> None:
    root = study(
        tmp_path / "bids", "participant_id sex\n1 F\n2 M\n3 F\n", ("sub-1", "sub-2", "sub-3")
    )
    for number, rows in ((1, "1\t0\n2\t1\n"), (2, "1\tn/a\n2\t1\n"), (3, "2\t1\n3\t0\n")):
        text = "session_id\tchronic\n" + rows
        (root / f"sub-{number}" / f"sub-{number}_sessions.tsv").write_text(text)
    for seed, who in enumerate(("sub-1_ses-1", "sub-1_ses-2", "sub-2_ses-1", "sub-3_ses-1")):
        normalise(tmp_path / "out", who, seed)
    cohort = build(tmp_path)
    assert cohort.table[["participant_id", "session_id", "outcome", "sex"]].values.tolist() == [
        ["sub-1", "ses-1", 0, "F"],
        ["sub-1", "ses-2", 1, "F"],
        ["sub-2", "ses-1", 1, "M"],
    ]
    assert reasons(cohort) == {"sub-3ses-1": "session ambiguous"}
    assert "chronic@2" in cohort.exclusions["detail"][0]
    named = build(tmp_path, rule(expression="`chronic@2` == 1 and sex == 'F'"))
    assert named.table["outcome"].tolist() == [1, 1, 0, 1]
    one = build(tmp_path, rule("sex", ["F"]), session_label=("1",))
    assert one.table["session_id"].tolist() == ["ses-1"] * 3


def test_the_same_image_under_two_names(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 0\n")
    for number, seed in ((1, 1), (2, 2), (3, 1)):
        normalise(tmp_path / "out", f"sub-{number}", seed)
    with pytest.raises(BadData) as caught:
        build(tmp_path)
    assert "sub-1_space" in str(caught.value)
    assert "sub-3_space" in str(caught.value)


def test_the_same_source_under_two_names_though_voxels_differ(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 0\n")
    for number, source in ((1, "a"), (2, "b"), (3, "a")):
        image = normalise(tmp_path / "out", f"sub-{number}", number)
        sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
        content = json.loads(sidecar.read_text()) | {"SourceSHA256": source * 64}
        sidecar.write_text(json.dumps(content))
    with pytest.raises(BadData, match="the same T1w file under 2 names") as caught:
        build(tmp_path)
    assert "sub-1_space" in str(caught.value)
    assert "sub-3_space" in str(caught.value)
    assert "sub-2_space" not in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped"])
def test_an_image_that_cannot_be_read_is_excluded(tmp_path: Path, damage: str) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 0\n")
    images = [normalise(tmp_path / "out", f"sub-{n}", n) for n in (1, 2, 3)]
    raw = images[2].read_bytes()
    middle = len(raw) // 2
    images[2].write_bytes(
        {
            "empty": b"",
            "cut": raw[:middle],
            "text": b"no image",
            "flipped": raw[:middle]
            + bytes(255 - b for b in raw[middle : middle + 20])
            + raw[middle + 20 :],
        }[damage]
    )
    cohort = build(tmp_path, threads=2)
    assert reasons(cohort) == {"sub-3": "image not readable"}
    assert cohort.table["participant_id"].tolist() == ["sub-1", "sub-2"]


@pytest.mark.parametrize(
    ("outcome", "options", "error", "words"),
    [
        (rule("chronik", [1]), {}, UsageError, ["Did you mean chronic", "site: a (2), b (1)"]),
        (rule(), {}, UsageError, ["--outcome COLUMN", "chronic: 0 (1), 1 (2)"]),
        (rule("chronic"), {}, UsageError, ["--positive VALUE", "0 (1), 1 (2)"]),
        (rule("chronic", ["yes"]), {}, UsageError, ["no value of 'chronic' is positive (yes)"]),
        (rule("chronic", [1], "a == 1"), {}, UsageError, ["not both"]),
        (
            *(rule("age", [">=60"]), {}, UsageError),
            ["no value of 'age' is positive", "--set 'outcome.expression=age >= 60'"],
        ),
        (rule(expression="site == a"), {}, UsageError, ['write site == "a"', "no column 'a'"]),
        (rule(expression="age > 1 and site in [b]"), {}, UsageError, ['write site == "b"']),
        (rule(expression="'a' != site != b"), {}, UsageError, ['write site == "b"']),
        (rule("chronic", [0, 1]), {}, BadData, ["3 positive and 0 negative"]),
        (rule(expression="chronic > 5"), {}, BadData, ["0 positive and 3 negative"]),
        (rule("chronic", [1]), {"covariates": ["chronic"]}, UsageError, ["also be a predictor"]),
        (rule("chronic", [1]), {"covariates": ["agee"]}, UsageError, ["Did you mean age"]),
        (rule("chronic", [1]), {"group_column": "family"}, UsageError, ["no column 'family'"]),
        (rule("chronic", [1]), {"participant_label": ("9",)}, NothingSelected, ["1, 2, 3"]),
        (rule("empty", [1]), {}, UsageError, ["no value of 'empty' is positive", "no values"]),
        (rule(expression="empty > 1"), {}, BadData, ["nobody is left (no outcome: 3)"]),
    ],
)
def test_what_stops_the_group_level(
    tmp_path: Path,
    outcome: Any,
    options: dict[str, Any],
    error: type[NociCastError],
    words: list[str],
) -> None:
    table = "participant_id chronic site age empty\n1 1 a 1 n/a\n2 0 b 2 n/a\n3 1 a 3 n/a\n"
    study(tmp_path / "bids", table)
    for number in (1, 2, 3):
        normalise(tmp_path / "out", f"sub-{number}", number)
    with pytest.raises(error) as caught:
        build(tmp_path, outcome, **options)
    for word in words:
        assert word in str(caught.value)


def test_images_that_are_not_there_or_not_whole(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n4 1\n5 0\n06 1\n")
    out = tmp_path / "out"
    with pytest.raises(NoInput, match="run the participant level first"):
        build(tmp_path)
    normalise(out, "sub-1", 1, res="1")
    with pytest.raises(NoInput, match=f"it has {SPACE}"):
        build(tmp_path)
    for number in (1, 2, 3, 5, 6):
        normalise(out, f"sub-{number}", number, None if number == 3 else "warn", number != 5)
    save(out / "sub-2" / "anat" / f"sub-2_acq-x_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz")
    normalise(out, "sub-7", 7)
    with pytest.raises(BadData, match="2 positive and 0 negative"):
        build(tmp_path, channels=("t1w", "log_jacobian"))
    cohort = build(tmp_path)
    assert cohort.table["participant_id"].tolist() == ["sub-1", "sub-5", "sub-6"]
    assert cohort.table["quality"].tolist() == ["warn", "warn", "warn"]
    assert reasons(cohort) == {
        "sub-2": "several images",
        "sub-3": "no quality verdict",
        "sub-4": "no normalised image",
        "sub-7": "participant without rows",
    }
    detail = cohort.exclusions.set_index("participant_id")["detail"]["sub-2"]
    assert "delete those that are not wanted with their sidecars" in detail


def test_quotes_are_not_advised_where_a_column_was_meant(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id site age\n1 a 30\n2 b 40\n")
    for number in (1, 2):
        normalise(tmp_path / "out", f"sub-{number}", number)
    for expression in ("sight == 'a'", "age > agee", "sight == height"):
        with pytest.raises(UsageError, match="no column") as caught:
            build(tmp_path, rule(expression=expression))
        assert "texts stand in quotes" not in str(caught.value)
    with pytest.raises(UsageError) as caught:
        build(tmp_path, rule("age", ["<old"]))
    assert "threshold" not in str(caught.value)


def test_who_has_no_scan_is_not_said_to_have_failed_normalisation(tmp_path: Path) -> None:
    names = ("sub-1", "sub-2", "sub-3", "sub-4")
    root = study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n4 1\n5 0\n", names)
    save(root / "sub-3" / "ses-1" / "anat" / "sub-3_ses-1_T1w.nii.gz")
    save(root / "sub-4" / "anat" / "sub-4_T2w.nii.gz")
    for number in (1, 2):
        normalise(tmp_path / "out", f"sub-{number}", number)
    details = build(tmp_path).exclusions.set_index("participant_id")["detail"]
    none = f"none with space-{SPACE}_res-2 in {tmp_path / 'out'}"
    assert details["sub-3"] == none
    absent = f"the dataset holds no T1w of this participant; {none}"
    assert details["sub-4"] == details["sub-5"] == absent


def test_groups_and_covariates(tmp_path: Path) -> None:
    study(
        tmp_path / "bids",
        "participant_id chronic site age sex\n1 1 a 1 F\n2 0 b 2 M\n3 1 n/a 3 F\n",
    )
    for number in (1, 2, 3):
        normalise(tmp_path / "out", f"sub-{number}", number)
    cohort = build(tmp_path, group_column="site", covariates=["sex", "site"])
    assert cohort.table["group"].tolist() == ["a", "b", "sub-3"]
    assert list(cohort.table.columns[len(COLUMNS) :]) == ["sex", "site"]
    cohort = build(tmp_path, group_column="site", lone_groups=False)
    assert cohort.table["group"].tolist() == ["a", "b"]
    assert reasons(cohort) == {"sub-3": "no group"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0", "1", "n/a", "?"]),
            st.sampled_from(["pass", "warn", "fail", None]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_everybody_is_in_one_of_the_two_tables(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[str, str | None, bool]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("cohort")
    rows = "".join(f"{n} {value}\n" for n, (value, _, _) in enumerate(people))
    study(tmp_path / "bids", "participant_id chronic\n" + rows + "a 0\nb 1\n")
    for number, (_, verdict, there) in enumerate(people):
        if there:
            normalise(tmp_path / "out", f"sub-{number}", number, verdict)
    normalise(tmp_path / "out", "sub-a", 100)
    normalise(tmp_path / "out", "sub-b", 101)
    cohort = build(tmp_path, rule("chronic", [1]))
    taken = cohort.table["participant_id"].tolist()
    left = cohort.exclusions["participant_id"].tolist()
    assert sorted(taken + left) == sorted(
        [f"sub-{n}" for n in range(len(people))] + ["sub-a", "sub-b"]
    )
    fit = [
        f"sub-{n}"
        for n, (value, verdict, there) in enumerate(people)
        if there and verdict in ("pass", "warn") and value in "01"
    ]
    assert taken == sorted([*fit, "sub-a", "sub-b"])


def test_real_tables(tmp_path: Path, real_data: Path) -> None:
    source = real_data / "labels" / "ds000208"
    for number in range(1, 77):
        normalise(tmp_path / "out", f"sub-{number:02d}", number)
    options = {"wanted": heads()}
    trial = build_cohort(source, tmp_path / "out", rule("Response", [1]), **options)
    table = pd.read_csv(source / "participants.tsv", sep="\t", dtype=str).dropna(how="all")
    answered = table[table["Response"].notna()]
    assert trial.table["participant_id"].tolist() == answered["participant_id"].tolist()
    assert trial.table["outcome"].astype(str).tolist() == answered["Response"].tolist()
    assert len(trial.exclusions) == 76 - len(answered)
    relief = build_cohort(
        source,
        tmp_path / "out",
        rule(expression="`% Analsesia VAS` >= 20 and Drug == 'placebo'"),
        **options,
    )
    numbers = pd.to_numeric(table["% Analsesia VAS"])
    expected = table[(numbers >= 20) & (table["Drug"] == "placebo")]["participant_id"]
    positive = relief.table.loc[relief.table["outcome"] == 1, "participant_id"]
    assert positive.tolist() == expected.tolist()


def test_the_table_that_is_written_is_the_one_that_evaluation_reads(tmp_path: Path) -> None:
    from bidsapp.evaluation.tsv import read_table

    study(tmp_path / "bids", "participant_id chronic age\n1 1 30\n2 0 n/a\n")
    for number in (1, 2):
        normalise(tmp_path / "out", f"sub-{number}", number)
    cohort = build(tmp_path)
    write_table(tmp_path / "cohort.tsv", cohort.table)
    table = read_table(tmp_path / "cohort.tsv", COLUMNS)
    assert table["outcome"].tolist() == ["1", "0"]
    assert table["age"].tolist() == ["30", "n/a"]
    assert table["session_id"].tolist() == ["n/a", "n/a"]


def test_images_that_were_normalised_in_different_ways_do_not_mix(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\nsub-01 1\nsub-02 0\nsub-03 0\n")
    for seed, (who, speed) in enumerate(
        (("sub-01", "default"), ("sub-02", "default"), ("sub-03", "fast"))
    ):
        image = normalise(tmp_path / "out", who, seed)
        sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
        content = json.loads(sidecar.read_text()) | {"Settings": {"speed": speed, "seed": 0}}
        sidecar.write_text(json.dumps(content))
    with pytest.raises(BadData, match=r"2 ways \(2 with speed default, seed 0; 1 with speed fast"):
        build(tmp_path)


@pytest.mark.parametrize("verdict", ["null", '"FAIL"', '""', '"Pass"'])
def test_only_pass_and_warn_are_usable(verdict: str, tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\nsub-01 1\nsub-02 0\nsub-03 1\n")
    out = tmp_path / "out"
    for number in (1, 2, 3):
        image = normalise(out, f"sub-0{number}", number, "warn" if number == 2 else "pass")
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    sidecar.write_text(f'{{"Quality": {{"verdict": {verdict}}}}}')
    cohort = build(tmp_path)
    assert cohort.table["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert reasons(cohort) == {"sub-03": "no quality verdict"}


def test_a_sidecar_nested_too_deeply_is_no_verdict(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\nsub-01 1\nsub-02 0\nsub-03 1\n")
    for number in (1, 2, 3):
        image = normalise(tmp_path / "out", f"sub-0{number}", number)
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    sidecar.write_text("[" * 100_000 + "]" * 100_000)
    assert reasons(build(tmp_path)) == {"sub-03": "no quality verdict"}

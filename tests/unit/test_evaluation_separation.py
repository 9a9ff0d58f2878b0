"""A column that tells the classes apart by itself is named, whoever asked for what."""

import itertools
import json
from dataclasses import replace
from math import comb, prod
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.column_warnings import column_warnings, lacking_columns
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.pooled import doubts
from bidsapp.evaluation.separation import (
    _test,
    is_of_scanner,
    separation_sentences,
    separation_table,
    suspects,
)
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import read_state
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.run.answer import answer
from bidsapp.reports.run.files import RunFiles
from tests.unit.dataset_trees import make
from tests.unit.evaluation_runs import become_positive_later, write_run

N = 24
TRUTH = np.arange(N) % 2
QUICK = EvaluationSettings(resamples=100, permutations=50, baselines=("majority",))


def cohort(**columns: list[object]) -> pd.DataFrame:
    people = {"participant_id": [f"sub-{k:02d}" for k in range(len(next(iter(columns.values()))))]}
    number = len(people["participant_id"])
    table = pd.DataFrame(
        people | {"session_id": "n/a", "outcome": np.arange(number) % 2} | columns, dtype=object
    )
    return table.astype({"outcome": int})


def flags(table: pd.DataFrame) -> dict[str, bool]:
    return dict(zip(table["column"], table["separates"].astype(bool), strict=True))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        *((name, True) for name in ("site", "Site", "site_id", "study_site", "AcquisitionSite")),
        *((name, True) for name in ("scanner", "MRI_scanner", "mri", "centre", "Center", "vendor")),
        *((name, True) for name in ("field_strength", "sidecar.EchoTime", "phenotype.site")),
        *((name, False) for name in ("age", "website_use", "opposite", "parasite", "pain_field")),
    ],
)
def test_columns_of_scanner_and_site_are_known_by_their_words(column: str, expected: bool) -> None:
    assert is_of_scanner(column) == expected


def test_numbers_and_categories_that_separate_are_flagged_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    table = separation_table(
        cohort(
            age=[str(20 + 2 * k + 50 * y) for k, y in enumerate(TRUTH)],
            falling=[f"{90 - 3 * k - 60 * y:.1f}" for k, y in enumerate(TRUTH)],
            scanner=["Prisma" if y else "Trio" for y in TRUTH],
            nearly=["a" if y != (k < 1) else "b" for k, y in enumerate(TRUTH)],
            half=["a" if y and k % 3 else "b" for k, y in enumerate(TRUTH)],
            noise=[f"{value:.3f}" for value in rng.normal(size=N)],
            coin=list(rng.choice(["h", "t"], N)),
            code=[f"X{k}" for k in range(N)],
            same=["one"] * N,
            region_volume_1=[str(k % 2) for k in range(N)],
        )
    )
    assert flags(table) == {
        **dict.fromkeys(("age", "falling", "scanner", "nearly"), True),
        **dict.fromkeys(("half", "noise", "coin"), False),
    }
    assert (table["looked_at"] == 7).all()
    first, second = separation_sentences(table)
    assert first.startswith(
        "CONFOUND: scanner (AUC by itself 1.00, 0.83 to 1.00; p < 0.001; n = 24) separates "
        "positives from negatives completely. 7 columns were looked at; p is corrected for them"
    )
    assert "age (AUC by itself 1.00" in second
    assert "each separate positives from negatives nearly completely" in second
    assert "--set 'tables.same_as_outcome=[age, falling, nearly]'" in second


def test_few_people_prove_nothing() -> None:
    few = cohort(scanner=["A" if k % 2 else "B" for k in range(8)])
    assert separation_sentences(separation_table(few)) == []


def test_one_column_among_many_is_corrected_for() -> None:
    rng = np.random.default_rng(1)
    noise = {f"x{k}": [f"{v:.3f}" for v in rng.normal(size=N)] for k in range(200)}
    table = separation_table(cohort(**noise))
    assert (table["p"] < 0.05).sum() > 2
    assert not table["associated"].any()
    alone = separation_table(cohort(x=noise[str(table.loc[table["p"].idxmin(), "column"])]))
    assert alone["associated"].all()


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 4, 1), (1, 1, 1, 5)])
def test_p_of_small_counts_is_that_of_all_tables_with_these_margins(sizes: tuple[int, ...]) -> None:
    positives = sum(sizes) // 2
    ways = {
        drawn: prod(comb(n, k) for n, k in zip(sizes, drawn, strict=True))
        for drawn in itertools.product(*(range(n + 1) for n in sizes))
        if sum(drawn) == positives
    }

    def extreme(drawn: tuple[int, ...]) -> float:
        return sum(k * k / n for n, k in zip(sizes, drawn, strict=True))

    for drawn in ways:
        reached = sum(w for d, w in ways.items() if extreme(d) >= extreme(drawn) - 1e-9)
        exact = reached / sum(ways.values())
        counts = np.array([drawn, np.array(sizes) - drawn])
        assert _test(counts)[1] == pytest.approx(exact, abs=0.01)


def test_chance_seldom_separates_whatever_the_number_of_categories() -> None:
    rng = np.random.default_rng(2)
    for levels in (2, 4, 8, 12):
        names = np.repeat([f"S{k}" for k in range(levels)], N // levels)
        found = sum(
            bool(separation_table(cohort(site=list(rng.permutation(names))))["associated"].any())
            for _ in range(60)
        )
        assert found <= 8  # 3 expected at 5 %; more than 8 of 60 in 1 of 100


def test_a_missing_value_is_a_scanners_own_and_nobodys_else() -> None:
    values = ["3" if y else "n/a" for y in TRUTH]
    table = separation_table(cohort(scanner=values, duration=values))
    assert flags(table) == {"scanner": True}


def test_scans_of_one_person_are_looked_at_and_not_tested(tmp_path: Path) -> None:
    run = write_run(tmp_path, n=40, folds=4, sessions=2, variants=("a",))
    become_positive_later(run)
    state = read_state(run)
    late = state.cohort["outcome"] == 1
    table = separation_table(state.cohort.assign(scanner=np.where(late, "new", "old")))
    assert table["p"].isna().all()
    assert flags(table) == {"scanner": True}
    (sentence,) = separation_sentences(table)
    assert "not tested; n = 80" in sentence
    assert "One column was looked at; scans of one person are not independent" in sentence


def run_with(folder: Path, effect: float = 1.5, **columns: list[object]) -> Path:
    run = write_run(folder, n=60, folds=5, effect=effect, variants=("axial",), covariates=columns)
    chosen = load_recipe("t1w", ["evaluation.bootstrap=100", "evaluation.permutations=50"])
    (run / "recipe.yaml").write_text(dump_recipe(chosen))
    return run


def test_the_answer_begins_with_what_separates_though_nobody_asked(tmp_path: Path) -> None:
    run = run_with(tmp_path, scanner=["Prisma" if k % 2 else "Trio" for k in range(60)])
    result = evaluate(run, QUICK)
    (text,) = result.tables["findings"].query("kind == 'separation'")["text"]
    found = answer(RunFiles(run))
    assert found.doubts == [text]  # and not once more, as the confound that it is too
    assert found.word == "Better than chance, but it may not be the brain."
    assert doubts(run, "axial") == (text,)
    confounds = result.tables["confounds"]
    assert confounds["confound"].tolist() == ["column scanner"]
    assert confounds["auc_confound"].tolist() == [1.0]


def test_a_scanner_that_goes_with_the_outcome_is_a_confound(tmp_path: Path) -> None:
    mixed = ["A" if (k % 2) ^ (k % 10 < 2) else "B" for k in range(60)]
    plain = evaluate(
        run_with(tmp_path / "plain", effect=0.5, age=[str(k) for k in range(60)]), QUICK
    )
    run = run_with(tmp_path / "run", effect=0.5, scanner=mixed, age=[str(k) for k in range(60)])
    told = {"sidecar.StationName": [f"MR{value}" for value in mixed]}
    both = evaluate(run_with(tmp_path / "both", scanner=mixed, **told), QUICK)
    result = evaluate(run, QUICK)
    (text,) = result.tables["findings"].query("kind == 'confound'")["text"]
    assert text.startswith("CONFOUND: column scanner alone may predict the outcome with AUC 0.7")
    assert both.tables["confounds"]["confound"].tolist() == [
        *("column scanner", "column sidecar.StationName")
    ]
    # what was asked for is not corrected for what was not
    assert plain.tables["comparisons"].equals(result.tables["comparisons"])
    assert plain.tables["confounds"].empty


def test_a_column_asked_for_as_the_site_is_not_compared_twice(tmp_path: Path) -> None:
    mixed = ["A" if (k % 2) ^ (k % 10 < 2) else "B" for k in range(60)]
    plan = EvaluationSettings(
        resamples=50, permutations=20, baselines=("majority", "site"), site="scanner"
    )
    result = evaluate(run_with(tmp_path, scanner=mixed), plan)
    assert result.tables["confounds"]["confound"].tolist() == ["site"]
    table = result.tables["columns"]
    assert suspects(table) == ["scanner"]
    assert suspects(table, ["scanner"]) == []


def test_ages_capped_for_privacy_serve_baselines_and_tables(tmp_path: Path) -> None:
    ages = [str(20 + k // 2 + 35 * (k % 2)) for k in range(60)]
    ages[59] = "89+"
    run = run_with(tmp_path, age=ages, sex=["F" if k % 3 else "M" for k in range(60)])
    plan = EvaluationSettings(
        resamples=100, permutations=50, baselines=("majority", "age_sex"), subgroups=("age",)
    )
    result = evaluate(run, plan)
    pooled = result.metrics.query("scope == 'pooled' and metric == 'auc'").set_index("variant")
    assert pooled.loc["age_sex", "value"] > 0.95
    row = result.tables["cohort"].query("column == 'age'").iloc[0]
    assert row["test"] in ("t", "Mann-Whitney")
    assert row["missing_first"] == row["missing_second"] == 0
    assert {"subgroup:age=up to 52", "subgroup:age=above 52"} <= set(result.metrics["scope"])
    assert any("age (AUC by itself 1.00" in text for text in result.tables["findings"]["text"])


def test_a_quality_number_that_is_known_serves_a_baseline() -> None:
    plan = replace(QUICK, baselines=("quality", "motion"))
    table = cohort(code=list(range(60)))
    numbers = pd.DataFrame({"quality_fd_mean": np.linspace(0.1, 0.3, 60)})
    assert any("No baseline motion" in told for told in column_warnings(plan, table))
    assert not any("No baseline" in told for told in column_warnings(plan, table, numbers))


def test_no_baseline_on_what_the_run_measures_is_said_to_be_lacking() -> None:
    of_images = tuple(name for name, one in BASELINES.items() if one.scan and name != "motion")
    assert {"connectome", "regions", "handcrafted"} <= set(of_images)
    plan = replace(QUICK, baselines=of_images)
    assert lacking_columns(plan, cohort(code=list(range(60)))) == {}


def test_a_baseline_whose_column_cannot_be_used_is_skipped_with_its_reason(tmp_path: Path) -> None:
    ages = [str(20 + k) if k % 4 else f"about {k}" for k in range(60)]
    codes = [f"X{k}" for k in range(60)]
    run = run_with(tmp_path, age=ages, sex=["F", "M"] * 30, code=codes)
    plan = EvaluationSettings(
        resamples=50,
        permutations=20,
        baselines=("majority", "age_sex", "logistic"),
        predictors=("code",),
    )
    why = {
        "baseline age_sex": "age cannot be used: 15 of its 60 values are no numbers ('about 0', "
        "'about 4', 'about 8', ...)",
        "baseline logistic": "code cannot be used: it has 60 different texts for 60 scans",
    }
    assert lacking_columns(plan, read_state(run).cohort) == why
    result = evaluate(run, plan)
    skipped = result.tables["findings"].query("kind == 'skipped'")["text"].tolist()
    assert skipped == [f"No {what}: {text}." for what, text in why.items()]
    assert answer(RunFiles(run)).skipped == skipped
    row = result.tables["cohort"].query("column == 'age'").iloc[0]
    assert row["note"].startswith("15 of its 60 values are no numbers")


def test_a_run_that_is_evaluated_again_from_its_files_says_the_same(tmp_path: Path) -> None:
    ages = [f"{20 + k},5" for k in range(58)] + ["89+", "unknown"]
    run = run_with(tmp_path, age=ages, scanner=["A" if k % 2 else "B" for k in range(60)])
    first = evaluate(run, QUICK)
    again = evaluate(run, QUICK)
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_a_plan_says_it_before_anybody_is_normalised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [f"sub-{k:02d}_T1w.nii.gz" for k in range(N)]
    root = make(tmp_path / "bids", *images)
    ages = [f"{20 + k},5" for k in range(N - 1)] + ["999"]
    rows = [f"sub-{k:02d}\t{y}\t{ages[k]}\tx{k}" for k, y in enumerate(TRUTH)]
    (root / "participants.tsv").write_text(
        "\n".join(["participant_id\tpain\tage\tsite", *rows]) + "\n"
    )
    for k, y in enumerate(TRUTH):
        path = root / f"sub-{k:02d}" / "anat" / f"sub-{k:02d}_T1w.json"
        path.write_text(json.dumps({"ManufacturersModelName": "Prisma" if y else "Trio"}))
    place = [str(root), str(tmp_path / "out"), "group", "--recipe", "t1w", "--plan"]
    asked = ["evaluation.baselines=[majority, site]", "evaluation.site=site"]
    assert main([*place, "--outcome", "pain", "--positive", "1", "--set", *asked]) == 0
    said = capsys.readouterr().err
    assert "Column age is read as numbers: '20,5' as 20.5 and 22 more (decimal comma)." in said
    assert "WARNING: column age: 999 (1) lies apart from the others (20.5 to 42.5)" in said
    assert "--set 'tables.missing=[age=999]'" in said
    assert "No baseline site: site cannot be used: it has 24 different texts for 24 scans." in said
    assert "WARNING: CONFOUND: sidecar.ManufacturersModelName (AUC by itself 1.00" in said
    asked += ["tables.missing=[age=999]"]
    assert main([*place, "--outcome", "pain", "--positive", "1", "--set", *asked]) == 0
    said = capsys.readouterr().err
    assert "Column age: '999' (1) is missing, as the recipe says." in said
    assert "looks like a code" not in said


def test_a_scanner_that_goes_with_the_outcome_is_told_before_training() -> None:
    mixed = ["A" if (k % 2) ^ (k % 10 < 2) else "B" for k in range(60)]
    (told,) = column_warnings(QUICK, cohort(scanner=mixed))
    assert told.startswith("WARNING: scanner (AUC by itself 0.80, 0.6")
    assert "goes with the outcome. One column was looked at. Networks will be compared" in told


def test_nothing_is_said_where_nothing_is_to_be_said() -> None:
    rng = np.random.default_rng(3)
    plain = cohort(age=[str(v) for v in rng.integers(20, 80, N)], sex=list(rng.choice([*"FM"], N)))
    assert column_warnings(QUICK, plain) == []

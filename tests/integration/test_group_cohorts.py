"""The group level on whole cohorts of real people."""

import os
import re
from pathlib import Path

import pytest

from tests.integration.group_studies import copy_study, start, table_of
from tests.integration.running import TIMEOUT, Ended, run_app
from tests.unit.words_oracle import numbers, numbers_of_images, numbers_of_run, prose

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * TIMEOUT)]

COMPACT = ("compact", "compact_coronal", "compact_sagittal", "compact_mean")


@pytest.fixture(scope="module")
def age(once, real_data: Path) -> Ended:  # type: ignore[no-untyped-def]
    """Old against young, three planes; normalised images from $NOCICAST_TEST_OUTPUT if set."""
    dataset = real_data / "ixi2mm_dev48"
    finished = os.environ.get("NOCICAST_TEST_OUTPUT")

    def work(folder: Path) -> Ended:
        out = folder / "out"
        if finished:
            for person in sorted(Path(finished).glob("sub-*/")):
                copy_study(person, out / person.name)
        else:
            normalised = run_app(dataset, out)
            assert normalised.code == 0, normalised.said
        return start(
            *(dataset, out, "group"),
            *("--outcome", "age_group", "--positive", "old", "--run-label", "age"),
            *("--variants", "compact_mean"),
        )

    return once("ixi_age", work)[1]


def test_three_planes_and_their_mean_tell_old_from_young(age: Ended) -> None:
    assert age.code == 0, age.said
    folder = age.output_dir / "group" / "age"
    assert len(table_of(folder / "cohort.tsv")) == 48
    metrics = table_of(folder / "metrics.tsv")
    pooled = metrics[(metrics["scope"] == "pooled") & (metrics["metric"] == "auc")]
    auc = dict(zip(pooled["variant"], pooled["value"].astype(float), strict=True))
    assert set(COMPACT) <= set(auc)
    assert {name: value for name, value in auc.items() if name in COMPACT and value < 0.95} == {}


def test_every_number_of_the_methods_text_is_in_the_files_of_the_run(age: Ended) -> None:
    folder = age.output_dir / "group" / "age"
    markdown = (folder / "logs" / "CITATION.md").read_text(encoding="utf-8")
    known = numbers_of_run(folder) | numbers_of_images(age.output_dir)
    assert numbers(prose(markdown)) - known == set()


def test_the_example_in_the_documentation_is_what_such_a_run_writes(age: Ended) -> None:
    """Word for word but for the results, whose last bits are those of a machine."""
    markdown = (age.output_dir / "group" / "age" / "logs" / "CITATION.md").read_text()
    page = Path(__file__).parents[2] / "docs" / "explanation" / "evaluation.md"
    readme = page.read_text(encoding="utf-8")
    quoted = re.search(r"^> (The networks were given .*)$", readme, re.M)
    assert quoted
    networks, protocol, results = quoted.group(1).split(" […] ")
    assert networks in markdown
    assert protocol in markdown
    told = next(line for line in markdown.splitlines() if "compact_mean: pooled" in line)
    without = [re.sub(r"\d\.\d+", "#", text) for text in (results, told)]
    assert without[0] in without[1]


def test_the_model_is_applied_to_six_people_of_another_dataset(
    age: Ended, real_data: Path, tmp_path: Path
) -> None:
    bundle = age.output_dir / "group" / "age" / "model" / "compact_coronal"
    ended = run_app(real_data / "ds000011", tmp_path, "--model", bundle)
    assert ended.code == 0, ended.said
    table = table_of(tmp_path / "group" / "predictions.tsv")
    assert len(table) == 6
    assert table["probability"].astype(float).between(0, 1).all()
    assert set(table["model"]) == {"age-compact_coronal"}
    for page in tmp_path.glob("sub-*.html"):
        assert page.read_text().count('id="prediction"') == 1

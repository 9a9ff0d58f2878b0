"""A fitted step that no room knows: refused in strict mode; in paper mode stamped everywhere."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.predict import predict
from bidsapp.representation.sample import CohortRow, read_sample
from tests.integration.group_studies import make_study, rerun, table_of
from tests.unit.fitted_steps import FURTHER

STAMP = "LEAK: representation.fitted.everybody.fit: dataset"
FEW = (
    # in this process: helpers that an earlier test began do not know of the further folder
    *("--nipype-plugin", "Linear"),
    "--set",
    *("representation.fitted.everybody.fit=dataset", "representation.slices=3"),
    *("training.epochs=1", "evaluation.bootstrap=20", "evaluation.permutations=20"),
    *("saliency.permutations=20", "saliency.tfce=false", "saliency.shuffled_folds=0"),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("fitted")
    make_study(root, people=8)
    patch = pytest.MonkeyPatch()
    patch.setenv("NOCICAST_FITTED", str(FURTHER))
    yield root
    patch.undo()
    shutil.rmtree(root)


def test_in_strict_mode_it_is_refused_before_any_work(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(study, *FEW) == 64
    said = capsys.readouterr().err
    assert "representation.fitted.everybody.fit: dataset is refused in strict mode" in said
    assert "the held-out images enter the mean image" in said
    assert not (study / "out" / "group").exists()


@pytest.fixture(scope="module")
def run(study: Path) -> Path:
    """A run in paper mode with maps."""
    assert rerun(study, *FEW, "mode=paper", maps=True) == 0
    return study / "out" / "group" / "small"


def test_in_paper_mode_all_that_it_reaches_is_stamped(run: Path) -> None:
    assert set(table_of(run / "scores.tsv")["leak"]) == {STAMP}
    metrics = table_of(run / "metrics.tsv")
    depends = metrics["variant"] == "base"
    assert metrics.loc[depends, "note"].str.startswith(STAMP).all()
    assert not metrics.loc[~depends, "note"].str.contains("LEAK").any()
    for path in (*run.glob("tables/*.tsv"), *run.glob("figures/*.tsv")):
        table = table_of(path)
        if "variant" in table and "note" in table:
            own = table.loc[table["variant"] == "base", "note"]
            assert own.str.startswith(STAMP).all(), path
    maps = sorted((run / "saliency" / "base").rglob("*_statmap.json"))
    assert len(maps) > 8
    for path in maps:
        assert json.loads(path.read_text())["Leak"] == STAMP, path
        assert json.loads(path.read_text())["HeldOut"] is False, path
    for path in (run / "saliency" / "base").rglob("*.tsv"):
        assert set(table_of(path)["leak"]) == {STAMP}, path
    bundle = run / "model" / "base"
    assert f"**{STAMP}**" in (bundle / "docs" / "README.md").read_text()
    assert json.loads((bundle / "configs" / "metadata.json").read_text())["leaks"] == [STAMP]
    assert (bundle / "recipe.yaml").read_text().startswith(f"# {STAMP}\n")
    words = (run / "logs" / "CITATION.md").read_text()
    assert "everybody.fit: dataset (the held-out images enter the mean image)" in words
    assert "divided into what lies above and below it with the mean image of all images" in words
    page = (run / "report.html").read_text()
    assert "LEAK: not a held-out result." in page
    assert page.count(STAMP) > 3


def test_its_channels_reach_network_maps_and_new_people(run: Path, study: Path) -> None:
    bundle = load_bundle(run / "model" / "base")
    assert bundle.channels == ("t1w",)
    names = ("t1w_above", "t1w_below")
    assert {model.fitted.channels(bundle.channels) for model in bundle.models} == {names}
    assert bundle.network(bundle.models[0]).conv1.weight.shape[1] == 2
    summary = json.loads((run / "saliency" / "base" / "summary.json").read_text())
    assert summary["channels"] == list(names)
    assert {"channel_t1w_above", "channel_t1w_below"} <= set(summary["maps"])
    scores = table_of(run / "scores.tsv").set_index("participant_id")["probability"].astype(float)
    samples = []
    for who in scores.index:
        image = next((study / "out" / who).rglob("*desc-preproc_T1w.nii.gz"))
        row = CohortRow(who, "", {"t1w": image})
        samples.append(read_sample(row, bundle.recipe.representation)[0])
    answers = predict(bundle, np.stack(samples), device="cpu").per_model
    nearest = np.abs(answers - scores.to_numpy()[:, None]).min(axis=1)
    assert nearest.max() < 1e-6  # one of the two models held this person out

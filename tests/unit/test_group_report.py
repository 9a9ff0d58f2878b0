"""The group report says what the tables say, shows data as text, and lives with what is absent."""

import html
import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, roc_curve

from bidsapp.arguments import build_parser
from bidsapp.contracts.unit import Unit
from bidsapp.errors import NoInput
from bidsapp.evaluation.permutation import METHOD
from bidsapp.evaluation.pooled import pooled_results
from bidsapp.evaluation.sample import make_sample
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.group_report import write_group_report
from bidsapp.reports.methods_results import results_section
from bidsapp.reports.run.answer import answer
from bidsapp.reports.run.figures import considered
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.group_run import GroupRun
from bidsapp.reports.run.numbers import confusions, roc_band
from bidsapp.reports.run.people import person_cell
from bidsapp.reports.run.result_tables import rivals_table
from bidsapp.saliency.missing_maps import note_finished, note_unfinished
from tests.unit.group_pages import NASTY, finished_run, reported
from tests.unit.report_pages import Page


class GroupPage(Page):
    """A page with figures of the charts, whose scripts are no words."""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if self.open and self.open[-1][0] in ("script", "style"):
            self.set_cdata_mode(tag)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "group" / "attias2025"
    folder.mkdir(parents=True)
    finished_run(folder)
    for who in ("sub-0000", "sub-0003"):
        (folder.parent.parent / f"{who}.html").write_text("<!DOCTYPE html><title>x</title>")
    write_group_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> GroupPage:
    return GroupPage((run / "report.html").read_text(encoding="utf-8"))


def metric(run: Path, variant: str, name: str) -> pd.Series:
    table = pd.read_csv(run / "metrics.tsv", sep="\t")
    chosen = (table["variant"] == variant) & (table["scope"] == "pooled")
    return table[chosen & (table["metric"] == name)].iloc[0]


def test_the_answer_is_the_number_of_the_metrics(run: Path, page: GroupPage) -> None:
    row = metric(run, "axial", "auc@retrained")
    words = (
        f"the model axial forecast chronic_pain = 1 or chronic with an AUC of {row['value']:.2f}"
    )
    assert words in page.text
    assert f"95 % interval {row['ci_low']:.2f} to {row['ci_high']:.2f}" in page.text
    assert "48 people, 24 positive" in page.text


def test_an_outcome_with_words_is_told_in_words_and_its_rule_once(tmp_path: Path) -> None:
    finished_run(tmp_path, recipe="wang2023", variants=("b0",), n=24)
    page = GroupPage(reported(tmp_path))
    words = "pain at least halved two months after the injection"
    assert f"forecast {words} with an AUC of" in page.text
    assert f"{words} ((nrs_pre - nrs_2mo) / nrs_pre >= 0.5), recipe wang2023" in page.text


def test_the_verdict_follows_the_interval(run: Path, tmp_path: Path) -> None:
    """The same run with another interval of the leading number is judged otherwise."""
    for low, high, words in ((0.4, 0.7, "not shown"), (0.6, 0.9, "better"), (0.1, 0.3, "worse")):
        copy = tmp_path / words
        shutil.copytree(run, copy)
        table = pd.read_csv(copy / "metrics.tsv", sep="\t", dtype=str, keep_default_na=False)
        chosen = (table["variant"] == "axial") & (table["metric"] == "auc@retrained")
        table.loc[chosen, ["ci_low", "ci_high"]] = [str(low), str(high)]
        table.to_csv(copy / "metrics.tsv", sep="\t", index=False)
        found = answer(RunFiles(copy))
        assert f"{words} " in found.sentence.split("):")[1][:20]
        assert (found.status == "pass") <= (low > 0.5)


@pytest.mark.parametrize(
    ("shown", "words", "cell"),
    [
        ("better", "and better than the strongest baseline, ", "yes"),
        (
            "better, uncorrected",
            "and not shown to be better than the strongest baseline, ",
            "no: only before correction",
        ),
        ("no difference shown", "and not shown to differ from the strongest baseline, ", "no"),
    ],
)
def test_better_than_a_baseline_is_said_after_correction_alone(
    shown: str, words: str, cell: str, run: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "group" / "attias2025"))
    path = folder / "tables" / "baselines.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table = table.assign(verdict=shown, p_holm="0.155", comparisons="15", flagged="True")
    table.to_csv(path, sep="\t", index=False)
    sentence = answer(RunFiles(folder)).sentence
    assert words in sentence
    corrected = "after correction for 15 comparisons (p = 0.155, Holm)"
    assert (corrected in sentence) == shown.endswith("uncorrected")
    grid = rivals_table(RunFiles(folder))
    assert grid is not None
    place = list(grid.columns).index("Shown to do better")
    assert cell in {row[place].text for row in grid.rows}
    methods = " ".join(text for text in results_section(GroupRun(folder)).paragraphs)
    assert (corrected in methods) == shown.endswith("uncorrected")


def test_a_variant_whose_name_ends_alike_is_another(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "group" / "attias2025"))
    for name in ("scores.tsv", "metrics.tsv"):
        path = folder / name
        path.write_text(path.read_text().replace("coronal", "pre.axial"))
    text = "CONFOUND: site alone predicts as well; pre.axial (AUC 0.60) is not shown to do better."
    rows = ["kind\ttext", f"confound\t{text}", f"confound\t{text.replace('pre.', '')}"]
    (folder / "tables" / "findings.tsv").write_text("\n".join(rows) + "\n")
    assert answer(RunFiles(folder)).doubts == [text.replace("pre.", "")]


def test_bands_say_of_which_level_they_are(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "group" / "attias2025"))
    recipe = load_recipe(folder / "recipe.yaml", ["evaluation.confidence=0.9"])
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    reported(folder)
    for name in ("roc", "decision_curve"):
        drawn = (folder / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert "90 % band" in drawn
        assert "95 % band" not in drawn


def test_a_run_that_stopped_before_its_maps_says_so(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "group" / "attias2025"))
    note_unfinished(folder)
    assert answer(RunFiles(folder)).status == "warn"
    words = "stopped before they were made; the same command makes them"
    write_group_report(folder)
    text = GroupPage((folder / "report.html").read_text(encoding="utf-8")).text
    assert (
        "The saliency maps are not made yet: the run is at work still, or was stopped; the same"
        in text
    )
    assert words in text
    note_finished(folder)
    write_group_report(folder)
    text = GroupPage((folder / "report.html").read_text(encoding="utf-8")).text
    assert words not in text
    assert "this run wrote none" in text


def test_a_p_that_decides_nothing_bears_its_caveat_and_does_not_stand_first(
    run: Path, tmp_path: Path
) -> None:
    assert "Permutation p" not in [name for name, _, _ in answer(RunFiles(run)).cards]
    caveat = "with cross-validated scores a nominal .05 means about .10"
    folder = Path(shutil.copytree(run, tmp_path / "group" / "attias2025"))
    table = folder / "tables" / "permutations.tsv"
    assert caveat in table.read_text()
    table.write_text(table.read_text().replace(caveat, ""))  # as of a hold-out
    remark = next(t for name, _, t in answer(RunFiles(folder)).cards if name == "Permutation p")
    assert remark == "outcomes permuted, scores fixed"
    results = " ".join(results_section(GroupRun(run)).paragraphs)
    assert f"(scores fixed: {caveat})" in results


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("pass", "Its maps passed their sanity checks and show what the network used, not a cause"),
        ("fail", "Its maps failed their sanity checks: where they are strongest says nothing."),
        ("not decisive", "The sanity checks of its maps are not decisive: where they are"),
        ("not run", "No sanity check tells whether its maps show more"),
    ],
)
def test_the_answer_names_a_region_only_of_maps_that_passed(
    verdict: str, says: str, run: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "group" / "attias2025"))
    assert answer(RunFiles(folder)).where == ""
    place = folder / "saliency" / "axial"
    place.mkdir(parents=True)
    sanity = {"verdict": verdict, "checks": {"forecast": "pass"}}
    summary = {"sanity": sanity, "tables": {"regions": "regions.tsv"}}
    (place / "summary.json").write_text(json.dumps(summary))
    rows = [
        "atlas\tregion\tcovered\tenrichment\trank",
        "desikan_killiany\tcuneus_L\t0.2\t9.1\tn/a",
        "desikan_killiany\tputamen_R\t1\t1.4\t2",
        "desikan_killiany\tinsula_R\t0.9\t2.345\t1",
        "tissue\tgrey\t1\t1.1\t1",
    ]
    (place / "regions.tsv").write_text("\n".join(rows) + "\n")
    said = answer(RunFiles(folder)).where
    assert said.startswith(says)  # whoever reads the region has read how far it can be trusted
    named = "strongest in insula_R (desikan killiany; 2.3 times its share by volume)"
    assert (named in said) is (verdict == "pass")
    assert ("insula" in said) is (verdict == "pass")  # a name is read and its caveat forgotten
    (place / "regions.tsv").write_text("\n".join(rows[:2]) + "\n")
    assert (answer(RunFiles(folder)).where == "") is (verdict == "pass")


def test_the_first_number_is_the_one_of_the_first_sentence(run: Path) -> None:
    """Two intervals of one AUC on one screen: the narrower one would be quoted."""
    found = answer(RunFiles(run))
    name, value, remark = found.cards[0]
    assert name == "AUC"
    assert f"an AUC of {value} (95\u00a0% interval {remark.partition(';')[0]}" in found.sentence
    assert sum(card.startswith("AUC") for card, _, _ in found.cards) == 1


def test_text_from_data_shows_as_text(run: Path, page: GroupPage) -> None:
    scripts = [at for tag, at in page.elements if tag == "script"]
    assert all("type" in at or not at for at in scripts)
    assert NASTY in page.text
    assert "<b>3</b>" in page.text
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "alert(1)" not in text.replace("&lt;script&gt;alert(1)", "")


def test_nothing_is_loaded_and_every_link_resolves(run: Path, page: GroupPage) -> None:
    text = (run / "report.html").read_text(encoding="utf-8")
    policy = next(at["content"] for _, at in page.elements if "http-equiv" in at)
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert re.findall(r"url\(|@import", text) == []
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster"):
            value = attributes.get(name, "#")
            reference = tag == "a" and value.startswith("https://doi.org/")
            if value.startswith(("#", "data:")) or reference:
                continue
            assert name == "href"
            assert (run / value).is_file(), f"{tag} leads to {value}"
    linked = {at["href"] for tag, at in page.elements if tag == "a" and "sub-" in at["href"]}
    assert linked == {"../../sub-0000.html", "../../sub-0003.html"}


def test_anchors_lead_somewhere_and_names_are_used_once(page: GroupPage) -> None:
    names = [at["id"] for _, at in page.elements if "id" in at]
    assert len(names) == len(set(names))
    for tag, attributes in page.elements:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in names, tag
        for name in ("for", "aria-labelledby"):
            for target in attributes.get(name, "").split():
                assert target in names, (tag, target)


def test_figures_stand_alone_and_have_words(run: Path) -> None:
    drawn = sorted(path.stem for path in (run / "figures").glob("*.svg"))
    assert {"roc", "calibration", "confusion", "flow", "forest", "learning_curves"} <= set(drawn)
    for name in drawn:
        root = ET.parse(run / "figures" / f"{name}.svg").getroot()
        words = [child.text for child in root if child.tag.endswith(("title", "desc"))]
        assert len(words) == 2
        assert all(words)
        assert root.get("viewBox")
    for name in ("roc", "roc_band", "calibration", "confusion", "score_distribution"):
        assert len(pd.read_csv(run / "figures" / f"{name}.tsv", sep="\t"))


def test_confusion_counts_are_those_of_scikit_learn(run: Path) -> None:
    scores = pd.read_csv(run / "scores.tsv", sep="\t")
    table = confusions(RunFiles(run))
    for variant, rows in scores.groupby("variant"):
        expected = confusion_matrix(rows["outcome"], rows["probability"] >= 0.5).ravel()
        own = table[(table["variant"] == variant) & (table["rule"] == "at 0.5")].iloc[0]
        assert [own[name] for name in ("tn", "fp", "fn", "tp")] == expected.tolist()


def test_band_holds_the_curve_and_narrows_with_people() -> None:
    rng = np.random.default_rng(2)
    widths = []
    for n in (60, 600):
        outcome = np.arange(n) % 2
        score = 1 / (1 + np.exp(-(rng.normal(size=n) + 1.2 * outcome)))
        low, high = roc_band(make_sample(outcome, score), np.random.default_rng(0), 0.95)
        fpr, tpr, _ = roc_curve(outcome, score)
        grid = np.linspace(0, 1, 101)
        curve = np.array([tpr[fpr <= x + 1e-9].max() for x in grid])
        assert (low <= curve + 1e-9).all()
        assert (curve <= high + 1e-9).all()
        assert (np.diff(low) >= -1e-9).all()
        widths.append((high - low)[5:60].mean())
    assert widths[1] < widths[0] / 2


def test_who_left_for_a_rare_reason_is_counted_in_the_flow_diagram() -> None:
    out = pd.DataFrame({"reason": [f"reason {n}" for n in range(12) for _ in range(n + 1)]})
    step = considered(pd.DataFrame({"participant_id": ["sub-1"]}), out)
    first, *rest = step.leaving
    assert first == "78 left out"
    assert sum(int(text.split(": ")[1]) for text in rest) == 78
    assert rest[-1] == "other reasons: 10"


def test_flow_counts_add_up(run: Path, page: GroupPage) -> None:
    for words in ("50 considered", "2 left out", "failed quality: 1", "no outcome: 1"):
        assert words in page.text
    assert "24 positive, 24 negative" in page.text


def test_a_leak_shows_nothing_of_people_who_were_not_seen(tmp_path: Path) -> None:
    """Of the headline's warning a reader keeps the sentence and the number below it."""
    folder = finished_run(tmp_path / "group" / "paper", variants=("paper",))
    found = answer(RunFiles(folder))
    assert found.word == "LEAK: not a held-out result."
    began = "With something fitted or chosen on the people who are tested (LEAK), the model paper"
    assert found.sentence.startswith(began)
    assert all(name.endswith(" (LEAK)") for name, _, _ in found.cards)
    results = " ".join(results_section(GroupRun(folder)).paragraphs)
    told = (folder / "tables" / "findings.tsv").read_text()
    card = pooled_results(folder, "paper")["against chance"]
    for text in (found.sentence, results, told, card):
        assert (
            "which shows nothing, as something was fitted or chosen on held-out people (LEAK)"
            in text
        )
        assert "than chance (0.50)" not in text
        assert "from chance (0.50)" not in text


def test_paper_mode_bears_its_banner(tmp_path: Path) -> None:
    folder = tmp_path / "group" / "paper"
    folder.mkdir(parents=True)
    finished_run(folder, variants=("axial", "paper"))
    text = reported(folder)
    page = GroupPage(text)
    assert "LEAK: this run saw people it was scored on" in page.text
    assert "representation.zscore: dataset" in page.text
    for figure in ("roc", "learning_curves"):
        assert "LEAK" in (folder / "figures" / f"{figure}.svg").read_text()
    assert "best fold under chance" in page.text.lower()
    strict = GroupPage(reported(finished_run(tmp_path / "group" / "strict", variants=("axial",))))
    assert "this run saw people" not in strict.text


def test_sessions_lead_to_the_report_of_the_session(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = out / "group" / "twice"
    finished_run(folder, n=16, folds=4, sessions=2, variants=("axial",))
    for name in ("sub-0001_ses-1.html", "sub-0001_ses-2.html", "sub-0002.html"):
        (out / name).write_text("<!DOCTYPE html><title>x</title>")
    page = GroupPage(reported(folder))
    linked = [at["href"] for tag, at in page.elements if tag == "a" and "sub-" in at["href"]]
    # who has one report for all sessions is led there from each
    assert (
        linked
        == ["../../sub-0001_ses-1.html", "../../sub-0001_ses-2.html"] + ["../../sub-0002.html"] * 2
    )
    assert "32 scans of 16 people, 8 people positive" in page.text


@pytest.mark.parametrize(
    ("unit", "image", "page"),
    [
        (Unit("sub-1", "", "C6L"), "sub-1/anat/sub-1_space-f_desc-C6Lpreproc_T2w.nii.gz", "C6L"),
        (Unit("sub-1", "", "C7R"), "sub-1/anat/sub-1_space-f_desc-C7Rpreproc_T2w.nii.gz", "C7R"),
        (Unit("sub-1", "ses-2", "L"), "sub-1/ses-2/anat/sub-1_ses-2_hemi-L_T2w.nii.gz", "ses-2_L"),
        (Unit("sub-1"), "sub-1/func/sub-1_space-f_desc-preproc_bold.nii.gz", "func"),
        (
            Unit("sub-1"),
            "sub-1/func/sub-1_task-rest_run-2_space-f_desc-denoised_bold.nii.gz",
            "task-rest_run-2_func",
        ),
        (Unit("sub-1"), "bids:fmriprep:sub-1/anat/sub-1_desc-preproc_T1w.nii.gz", ""),
        (Unit("sub-1"), "sub-1/anat/sub-1_acq-raw_desc-head_T1w.nii.gz", "acq-raw_desc-head"),
        (Unit("sub-1", "", "C5R"), "sub-1/anat/sub-1_space-f_desc-C5Rpreproc_T2w.nii.gz", None),
    ],
)
def test_a_name_leads_to_the_page_of_the_very_unit(
    tmp_path: Path, unit: Unit, image: str, page: str | None
) -> None:
    folder = tmp_path / "group" / "run"
    folder.mkdir(parents=True)
    pages = [
        "C6L",
        "C7R",
        "ses-2_L",
        "func",
        "task-rest_run-2_func",
        "acq-raw_desc-head",
        *([""] if page == "" else []),
    ]
    for name in pages:
        (tmp_path / f"{'_'.join(filter(None, ('sub-1', name)))}.html").write_text("")
    wanted = None if page is None else "_".join(filter(None, ("../../sub-1", page))) + ".html"
    assert person_cell(folder, unit, image).href == (wanted or "")


def test_a_simulated_run_bears_its_banner(tmp_path: Path) -> None:
    recipe = ("simulation.kind=cuboid", "simulation.contrast_sd=2")
    label = "mine-cuboid-2sd"  # as the group level names it, from --run-label mine
    folder = finished_run(tmp_path / "group" / label, variants=("axial",), overrides=recipe)
    page = GroupPage(reported(folder))
    assert re.search(r"--run-label mine\b(?!-)", page.text)
    assert "SIMULATED: a signal was planted" in page.text
    assert "Simulated: says nothing of the real outcome." in page.text
    assert "SIMULATED" in (folder / "figures" / "roc.svg").read_text()


def test_the_exact_permutation_test_comes_first(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "group" / "exact"
    shutil.copytree(run, copy)
    path = copy / "tables" / "permutations.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    own = table[table["variant"] == "axial"].assign(p="0.25", method=METHOD)
    pd.concat([table, own]).to_csv(path, sep="\t", index=False)
    null = pd.DataFrame({"variant": "axial", "permutation": range(20), "auc": 0.5})
    null.to_csv(copy / "figures" / "pipeline_null.tsv", sep="\t", index=False)
    page = GroupPage(reported(copy))
    assert "0.25 outcomes permuted, networks trained anew" in page.text
    assert "axial: p = 0.25, trained anew" in page.text
    fixed = float(table.loc[table["variant"] == "axial", "p"].iloc[0])
    assert f"axial: p = {fixed:.2g}, scores fixed" in page.text


@pytest.mark.parametrize(
    "gone",
    [
        ("tables",),
        ("figures",),
        ("metrics.tsv",),
        ("recipe.yaml",),
        ("scores.tsv", "metrics.tsv", "tables", "figures"),
        ("exclusions.tsv", "splits.tsv", "history.tsv"),
        ("cohort.tsv",),
    ],
)
def test_what_is_absent_is_said(run: Path, tmp_path: Path, gone: tuple[str, ...]) -> None:
    copy = tmp_path / "group" / "part"
    shutil.copytree(run, copy)
    for name in gone:
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = GroupPage(reported(copy))
    assert "not written by this run" in page.text
    assert "How to make this again" in page.text


def test_a_broken_table_is_named_and_the_rest_stands(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "group" / "broken"
    shutil.copytree(run, copy)
    header = "first\tsecond\ttest\tn\tnote"
    (copy / "tables" / "comparisons.tsv").write_text(f"{header}\naxial\tcoronal\n")
    page = GroupPage(reported(copy))
    assert "comparisons.tsv: line 2" in page.text
    assert "axial forecast" in page.text


def test_the_command_can_be_pasted(run: Path, tmp_path: Path) -> None:
    """A shell takes it apart into the arguments that the app needs; no folder is told."""
    out = tmp_path / "my $out"
    shutil.copytree(run, out / "group" / "attias2025")
    content = reported(out / "group" / "attias2025")
    code = re.search(r'<pre class="command"><code>(.*?)</code>', content, re.S)
    assert code
    words = shlex.split(html.unescape(code[1]).replace("\\\n", " "))
    given = build_parser().parse_args(words[1:])
    assert (given.bids_dir, given.output_dir) == (Path("<bids_dir>"), Path("<output_dir>"))
    assert given.recipe == "<output_dir>/group/attias2025/recipe.yaml"
    assert given.run_label == "attias2025"
    assert str(tmp_path) not in content


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"holds no group run .* does\. Run the group level first"):
        write_group_report(tmp_path / "group" / "small")


def test_a_run_that_is_there_under_another_name_is_named(run: Path) -> None:
    with pytest.raises(NoInput, match=rf"these do: {run.name}\. Name one with --run-label\.$"):
        write_group_report(run.with_name("other"))
    with pytest.raises(NoInput, match=rf"these do: {run.name}\. Name one with --run-label\.$"):
        GroupRun(run.with_name("other")).recipe  # noqa: B018


def test_the_same_files_give_the_same_page(run: Path, tmp_path: Path) -> None:
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    write_group_report(run)
    assert (run / "report.html").read_bytes() == before

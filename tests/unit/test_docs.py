"""The documentation: what it links, names and shows is there, and its code runs."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bidsapp.errors import UsageError
from tests.unit.fitted_steps import CHECKS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _blocks(page: Path, language: str) -> list[str]:
    """All blocks of code of one language, without the indent of the list that they stand in."""
    found = re.findall(
        rf"^([ ]*)```{language}\n(.*?)^\1```", page.read_text(encoding="utf-8"), re.M | re.S
    )
    return ["\n".join(line[len(i) :] for line in block.split("\n")) for i, block in found]


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http", "doi:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.is_file(), f"{page.name} links {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in map(_anchor, headings), f"{page.name} links {target}"


def test_readme_is_short_and_shows_the_report() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text) <= 8000
    (picture,) = re.findall(r"!\[[^\]]+\]\((\S+)\)", text)
    assert 0 < (ROOT / picture).stat().st_size < 200_000


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert pages == set(re.findall(r": (\S+\.md)$", menu, re.M))


def test_generated_pages_say_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_option_that_is_named_exists(page: Path) -> None:
    from bidsapp.arguments import build_parser

    known = {name for action in build_parser()._actions for name in action.option_strings}
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"nocicast [^`\n]*(?:\\\n[^`\n]*)*", text)
    named = {o for c in commands for o in re.findall(r"(?<![\w-])--[a-z][\w-]*", c)}
    assert named - OTHER_PROGRAMS <= known


# Options of docker, bosh and nipoppy on lines that also hold a call of nocicast.
OTHER_PROGRAMS = {
    "--rm", "--user", "--read-only", "--network", "--memory", "--containall", "--no-home",
    "--bind", "--nv", "--gpus", "--simulate", "--hpc", "--build-arg",
}  # fmt: skip


def test_a_network_is_added_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from bidsapp.contracts import network as contract
    from bidsapp.networks import architectures
    from bidsapp.networks.registry import build_network
    from bidsapp.recipes.network import Network
    from tests.unit.synthetic_cohort import small_recipe

    (code,) = [b for b in _blocks(ROOT / "docs/extending.md", "python") if "NetworkOffer" in b]
    (tmp_path / "plain.py").write_text(code)
    monkeypatch.setattr(contract, "ARCHITECTURES", tmp_path)
    monkeypatch.setattr(architectures, "__path__", [str(tmp_path)])
    contract.network_offers.cache_clear()
    try:
        section = {"name": "plain", "depth": 2, "start": "random"}
        recipe = small_recipe(network=section | {"stem_stride": 1, "stem_pool": False})
        network = build_network(recipe.network, 2)
        assert network(torch.zeros(2, 2, 30, 30, 30)).shape == (2, 1)
        with pytest.raises(UsageError, match=r"network.depth: plain offers 2, got 3"):
            build_network(Network.model_validate(section | {"depth": 3}), 2)
    finally:
        contract.network_offers.cache_clear()
        sys.modules.pop("bidsapp.networks.architectures.plain", None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_fitted_step_is_added_as_the_page_says(
    check: Callable[[str, str, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = [b for b in _blocks(ROOT / "docs/extending.md", "python") if "FittedOffer" in b]
    steps, folder = tmp_path / "steps", tmp_path / "work"
    for place in (steps, folder):
        place.mkdir()
    (steps / "mean_image.py").write_text(code)
    monkeypatch.setenv("NOCICAST_FITTED", str(steps))
    for scope in ("train_fold", "dataset"):
        check("mean_image", scope, folder)
        for path in folder.iterdir():
            path.unlink()


def _run_page(page: str, place: Path) -> None:
    """Run every command of a page, in order, as a reader does."""
    binaries = place / "bin"
    binaries.mkdir()
    (binaries / "nocicast").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bidsapp "$@"\n')
    (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for program in binaries.iterdir():
        program.chmod(0o755)
    path = f"{binaries}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    for block in _blocks(ROOT / page, "bash"):
        done = subprocess.run(
            ["bash", "-e", "-c", block], cwd=place, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_tutorial_runs_from_a_bids_folder_to_the_report(tmp_path: Path) -> None:
    _run_page("docs/tutorials/own-data.md", tmp_path)
    run = tmp_path / "results" / "group" / "t1w"
    assert (run / "report.html").is_file()
    assert (run / "metrics.tsv").is_file()
    assert (tmp_path / "results" / "quality.html").is_file()


@pytest.mark.slow
def test_a_model_is_validated_elsewhere_as_the_page_says(tmp_path: Path) -> None:
    _run_page("docs/how-to/validate-elsewhere.md", tmp_path)
    folder = tmp_path / "elsewhere_out" / "group" / "external-t1w-axial"
    out = (folder / "exclusions.tsv").read_text()
    assert "sub-99" in out
    assert "in the training cohort" in out
    rows = [line.split("\t") for line in (folder / "metrics.tsv").read_text().splitlines()]
    columns = {name: place for place, name in enumerate(rows[0])}
    intercepts = {
        row[columns["variant"]]: [float(row[columns[end]]) for end in ("ci_low", "ci_high")]
        for row in rows
        if row[columns["metric"]] == "calibration_intercept" and row[columns["scope"]] == "pooled"
    }
    low, high = intercepts["t1w-axial"]
    assert not low <= 0 <= high  # wrong on the whole,
    low, high = intercepts["t1w-axial-intercept"]
    assert low <= 0 <= high  # and mended
    assert (
        folder / "model" / "t1w-axial-recalibrated" / "configs" / "recalibration.json"
    ).is_file()


@pytest.mark.slow
def test_the_tutorial_opens_a_run_and_a_model_from_python(tmp_path: Path) -> None:
    """On the run of the demo's own commands, with fewer people and epochs."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    app = [sys.executable, "-m", "bidsapp"]
    of_group = "--recipe t1w --outcome chronic_pain --positive 1 --variants axial"
    quick = "--set protocol.folds=2 training.epochs=1"
    for command in (
        f"{sys.executable} -m bidsapp.phantom demo/phantom --participants 8 --effect 1.5",
        f"{' '.join(app)} demo/phantom demo/out participant --speed fast",
        f"{' '.join(app)} demo/phantom demo/out group {of_group} {quick}",
    ):
        subprocess.run(command.split(), cwd=tmp_path, env=env, check=True, capture_output=True)
    pages = (ROOT / "docs/tutorials/python.md", ROOT / "docs/how-to/read-metrics.md")
    code = "\n".join(block for page in pages for block in _blocks(page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "probability_sd" in done.stdout

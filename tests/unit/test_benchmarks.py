"""Benchmarks: all are in the registry, and the page of figures is what their records give."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as runner
from tests.benchmarks import records
from tests.benchmarks.registry import BENCHMARKS, NO_BENCHMARK, Benchmark

TOY = Benchmark("toy", "Toy", "Nothing.", 0.1, commands=(("--at", "{data}"),))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of one benchmark, whose file a test may write; its records lie beside it."""
    (tmp_path / "toy.py").write_text("import sys\nprint('took 1 s on', sys.argv[2])\n")
    monkeypatch.setattr(records, "HERE", tmp_path)
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(records, "PAGE", tmp_path / "measured.md")
    monkeypatch.setattr(records, "BENCHMARKS", (TOY,))
    monkeypatch.setattr(runner, "MODULES", "")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_every_module_that_can_be_started_is_a_benchmark_or_says_why_not() -> None:
    started = {
        path.stem
        for path in records.HERE.glob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    assert started == {one.file for one in BENCHMARKS} | set(NO_BENCHMARK)
    assert len({one.name for one in BENCHMARKS}) == len(BENCHMARKS)
    assert len({one.title for one in BENCHMARKS}) == len(BENCHMARKS)


def test_commands_name_known_places_only() -> None:
    words = [word for one in BENCHMARKS for command in one.commands for word in command]
    assert set(re.findall(r"\{(.*?)\}", " ".join(words))) <= {"data", "ixi", "work"}


def test_the_page_of_figures_is_what_the_records_give() -> None:
    written = records.PAGE.read_text(encoding="utf-8")
    assert written == records.page(), "run python -m tests.benchmarks --page"


def test_no_figure_stands_there_twice() -> None:
    stored = {path.stem for path in records.RECORDS.glob("*.json")}
    assert stored <= {one.name for one in BENCHMARKS}
    assert not stored & {path.stem for path in records.RECORDS.glob("*.md")}


def test_what_a_benchmark_says_is_stored_with_day_commit_and_machine(toy: Path) -> None:
    (toy / "records").mkdir()
    (toy / "records" / "toy.md").write_text("title: Toy\ncommit: 1234567\n\nTook 9 s.\n")
    assert "Took 9 s." in records.page()
    record = runner.run_one(TOY, {"data": toy})
    assert record is not None
    records.store("toy", record)
    assert records.read_record("toy") == record
    page = records.page()
    assert "took 1 s on DATA" in page
    assert str(toy) not in page
    assert "Took 9 s." not in page
    for said in (record.date, record.commit, record.machine.cpu):
        assert said in page
    assert "older" not in page.split("## Toy")[1]


def test_a_record_names_a_commit_that_is_found_on_the_main_branch(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert runner.commit(tmp_path) == "unknown"
    git("init", "-q", "-b", "main")
    (tmp_path / "bidsapp").mkdir()
    code = tmp_path / "bidsapp" / "code.py"
    code.write_text("")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    main = git("rev-parse", "--short=7", "HEAD")
    assert runner.commit(tmp_path) == main
    git("checkout", "-q", "-b", "work")
    code.write_text("1")
    assert runner.commit(tmp_path) == f"{main}+"
    git("commit", "-q", "-a", "-m", "two")
    assert runner.commit(tmp_path) == f"{main}+"
    (tmp_path / "notes.txt").write_text("no code")
    git("checkout", "-q", "main")
    assert runner.commit(tmp_path) == main


def test_figures_of_a_benchmark_that_was_changed_since_are_marked(toy: Path) -> None:
    record = runner.run_one(TOY, {"data": toy})
    assert record is not None
    records.store("toy", record)
    (toy / "toy.py").write_text("print('took 2 s')\n")
    assert f"{record.date}, **older**, commit" in records.page()


def test_a_bar_that_was_not_reached_is_said(toy: Path) -> None:
    (toy / "toy.py").write_text("import sys\nprint('9 of 10')\nsys.exit(1)\n")
    record = runner.run_one(TOY, {"data": toy})
    assert record is not None
    records.store("toy", record)
    assert "**not reached**" in records.page()


def test_what_broke_is_not_stored(toy: Path) -> None:
    (toy / "toy.py").write_text("print('half')\nraise ValueError('no')\n")
    assert runner.run_one(TOY, {"data": toy}) is None


def test_a_benchmark_that_lacks_something_names_it() -> None:
    lacking = replace(TOY, packages=("no_such_package_here",))
    assert "no_such_package_here" in runner.missing(lacking)


def test_an_unknown_name_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "normalisation"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "no benchmark named normalisation; --list names them" in capsys.readouterr().err

"""The page on added value: its cohort is written and its plan is asked for, as it says."""

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

import pytest

from bidsapp.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "does-the-scan-add.md"


def test_the_plan_of_the_page_is_what_the_app_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (plan,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    commands = re.findall(r"```\n(nocicast.*?)```", page, re.DOTALL)
    (command,) = (one for one in commands if "--plan" in one)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {})
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        code_of_exit = main(shlex.split(command.replace("\\\n", " "))[1:])
    assert code_of_exit == 0
    said = told.getvalue()
    assert plan.strip() == said[said.index("Added value over") :].strip()
    assert os.listdir(tmp_path) == ["cohort"]

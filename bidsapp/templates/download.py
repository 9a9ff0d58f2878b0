"""Getting files from TemplateFlow's server, at once or not at all."""

import os
import tempfile
import threading
from pathlib import Path

from bidsapp.derivatives.atomic import not_made
from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.errors import CannotCreateOutput, NoInput
from bidsapp.templates import catalogue

SERVER = "https://templateflow.s3.amazonaws.com"
_PROBE_SECONDS = 5.0
_STALL_SECONDS = 20


def fetch(files: list[str], homes: list[Path]) -> None:
    """Download files into the first home that can be written.

    Each file is moved into place whole.

    Parameters
    ----------
    files
        Paths relative to a TemplateFlow home.
    homes
        The TemplateFlow home and, where there is one, the caller's folder.

    Raises
    ------
    NoInput
        The server cannot be reached within 5 s, or does not give a file.
    CannotCreateOutput
        No home can be written.
    """
    why = _unreachable()
    if why:
        raise NoInput(f"TemplateFlow's server ({SERVER}) cannot be reached ({why})")
    target = next((home for home in homes if _writable(home)), None)
    if target is None:
        raise CannotCreateOutput(
            f"Templates have to be downloaded, and {' and '.join(map(str, homes))} cannot be "
            "written; let TEMPLATEFLOW_HOME name a folder that can."
        )
    if target == homes[0]:
        prepare(target)
    try:
        with temporary_folder(target) as folder:
            _download(files, folder)
            for file in files:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / file, target / file)
    except OSError as error:
        # requests' errors are OSErrors too.
        raise NoInput(f"the download from {SERVER} failed ({error})") from error


def prepare(home: Path) -> None:
    """Fill an empty TemplateFlow home with TemplateFlow's own empty files, as its import does.

    Raises
    ------
    CannotCreateOutput
        `home` cannot be written.
    """
    try:
        if home.is_dir() and any(home.iterdir()):
            return
        cache, config = _templateflow(home)
        cache(config(root=home, use_datalad=False)).ensure()
    except OSError as error:
        raise not_made(
            error,
            f"The TemplateFlow home {home} cannot be made ({error.strerror or error}); "
            "let TEMPLATEFLOW_HOME name a folder that can be written.",
        ) from error


def _download(files: list[str], folder: Path) -> None:
    """Let TemplateFlow's client fill placeholders of `files` in a home of their own."""
    cache, config = _templateflow(folder)
    from templateflow.client import TemplateFlowClient

    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    client = TemplateFlowClient(
        cache=cache(config(root=folder, s3_root=SERVER, use_datalad=False, timeout=_STALL_SECONDS))
    )
    try:
        client.get(Path(files[0]).parts[0].removeprefix("tpl-"))
    except RuntimeError as error:
        raise NoInput(f"the download from {SERVER} failed ({error})") from error


def _templateflow(home: Path) -> tuple[type, type]:
    """Import TemplateFlow so that what it writes on import goes to `home`, if it writes at all."""
    usual = catalogue.templateflow_home()
    before = os.environ.get("TEMPLATEFLOW_HOME")
    filled = usual.is_dir() and any(usual.iterdir())
    if not filled:
        os.environ["TEMPLATEFLOW_HOME"] = str(home)
    try:
        from templateflow.conf.cache import CacheConfig, TemplateFlowCache
    finally:
        if before is None:
            os.environ.pop("TEMPLATEFLOW_HOME", None)
        else:
            os.environ["TEMPLATEFLOW_HOME"] = before
    return TemplateFlowCache, CacheConfig


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _unreachable() -> str:
    """Why the server cannot be reached, or nothing if it can."""
    import requests

    outcome = ["no answer within 5 s"]

    def probe() -> None:
        try:
            requests.head(SERVER, timeout=_PROBE_SECONDS)
            outcome[0] = ""
        except requests.RequestException as error:
            outcome[0] = type(error).__name__

    # In a thread, because looking up a host's name knows no time limit.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return outcome[0]

"""The files of a model bundle: the manifest, every file against its hash, JSON read as it is."""

import math
from pathlib import Path
from typing import Any

from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.json_text import read_own_json
from bidsapp.intake.pointers import pointer_at, require_content

FORMAT = 2
"""What is written. Format 1 had the numbers of the z-score in models.json; it is read, too."""
_READ = (1, FORMAT)
_LONGEST_NAME = 200  # of a file; 255 bytes make one
MANIFEST = Path("configs") / "manifest.json"
METADATA = Path("configs") / "metadata.json"
MODELS = Path("configs") / "models.json"
RECIPE = Path("recipe.yaml")
CARD = Path("docs") / "README.md"


def _near(*parents: Path) -> str:
    """Name the bundles in folders where somebody may have meant one, as the end of a sentence."""
    found = [path.parents[1] for parent in parents for path in parent.glob(f"*/{MANIFEST}")]
    return f"; these are: {', '.join(map(str, sorted(found)))}" if found else ""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read which files a bundle has, and refuse what is none.

    Raises
    ------
    NoInput
        There is no bundle.
    BadData
        It is of another format, or lists no bundle.
    """
    if not folder.is_dir():
        raise NoInput(f"--model {folder}: there is no such folder{_near(folder.parent)}")
    require_content(folder / MANIFEST)
    if not (folder / MANIFEST).is_file():
        raise NoInput(
            f"--model {folder}: no {MANIFEST} in it, so it is no NociCast model bundle"
            f"{_near(folder, folder / 'model')}"
        )
    try:
        manifest = read_object(folder, MANIFEST)
    except BadData as error:
        raise BadData(f"bundle {folder}: {error}") from error
    if manifest.get("format") not in _READ:
        raise BadData(
            f"bundle {folder}: format {manifest.get('format')!r} is not among those that this "
            f"version reads ({' and '.join(map(str, _READ))}); use the version of NociCast that "
            "wrote it"
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not {str(RECIPE), str(METADATA), str(MODELS)} <= set(files):
        raise BadData(f"bundle {folder}: {MANIFEST} does not list the files of a bundle")
    return manifest


def check_files(folder: Path, files: dict[str, str]) -> None:
    """Refuse a bundle with files that are missing, lie outside or are not what was written."""
    problems = []
    for name, digest in sorted(files.items()):
        path = folder / name
        if len(name) > _LONGEST_NAME:
            problems.append(f"{MANIFEST} lists {name[:40]}… of {len(name)} characters")
        elif Path(name).is_absolute() or ".." in Path(name).parts:
            problems.append(f"{name} lies outside")
        elif (pointer := pointer_at(path)) is not None:
            raise NoInput(f"bundle {folder}: {name} {pointer.advice}.")
        elif not path.is_file():
            problems.append(f"{name} is missing")
        elif file_sha256(path) != digest:
            problems.append(f"{name} is not what was written (its hash differs)")
    if problems:
        raise BadData(f"bundle {folder} is damaged: {'; '.join(problems)}; copy it again")


def listed(name: str, files: dict[str, str]) -> str:
    """Give the name of a file, which the manifest has to list."""
    if name not in files:
        raise BadData(f"{MODELS} names {name}, which {MANIFEST} does not list")
    return name


def read_object(folder: Path, name: Path) -> dict[str, Any]:
    """Read a JSON object of a bundle; errors name the file, `load_bundle` the bundle."""
    try:
        content = read_own_json(folder / name)
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(f"{name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BadData(f"{name} holds no JSON object")
    return content


def read_numbers(folder: Path, name: Path) -> dict[str, Any]:
    """Read a JSON object whose numbers are all finite, which JSON of Python need not be."""
    content = read_object(folder, name)
    key = _infinite(content)
    if key:
        raise BadData(f"{name}: {key[1:]} is not a finite number")
    return content


def _infinite(value: Any) -> str:
    """Give the key of the first number that is not finite, as in ``.models[0].repeat``."""
    if isinstance(value, dict):
        found = ((f".{key}", _infinite(item)) for key, item in value.items())
    elif isinstance(value, list):
        found = ((f"[{place}]", _infinite(item)) for place, item in enumerate(value))
    else:
        bad = isinstance(value, float) and not math.isfinite(value)
        return " " if bad else ""
    return next((key + below.rstrip() for key, below in found if below), "")

"""Arguments of a nipype plugin, read from a file."""

import json
from pathlib import Path
from typing import Any

from bidsapp.errors import NoInput, UsageError
from bidsapp.intake.regular import read_text


def read_plugin_arguments(path: Path) -> dict[str, Any]:
    """Read the YAML or JSON file that ``--nipype-plugin-args`` names.

    Raises
    ------
    NoInput
        The file cannot be read.
    UsageError
        It is neither YAML nor JSON, or holds no mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(read_text(path))
    except OSError as error:
        raise NoInput(f"--nipype-plugin-args {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--nipype-plugin-args {path} is neither YAML nor JSON.") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"--nipype-plugin-args {path} must hold a mapping, "
            f"{json.dumps({'sbatch_args': '--time=60'})} for instance."
        )
    return content

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
    from bidsapp.intake.yamltext import read_yaml

    source = f"--nipype-plugin-args {path}"
    try:
        content = read_yaml(read_text(path), source)
    except OSError as error:
        raise NoInput(f"{source}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{source} is not UTF-8 text.") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"--nipype-plugin-args {path} must hold a mapping, "
            f"{json.dumps({'sbatch_args': '--time=60'})} for instance."
        )
    return content

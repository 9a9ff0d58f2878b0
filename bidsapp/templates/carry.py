"""``python -m bidsapp.templates.carry "NAME ..."``: templates for a container image to carry."""

import sys
from collections.abc import Sequence

from bidsapp.errors import NociCastError
from bidsapp.templates import catalogue
from bidsapp.templates.embedded import DEFAULT, lay_embedded
from bidsapp.templates.resolve import resolve_template


def main(arguments: Sequence[str]) -> int:
    """Lay the embedded template into TEMPLATEFLOW_HOME, and fetch those that are named.

    Parameters
    ----------
    arguments
        Names of templates, each argument one or several that blanks separate.

    Returns
    -------
    int
        0, also where a template cannot be had, which is said; the exit code of what went wrong
        where the embedded one cannot be laid.
    """
    home = catalogue.templateflow_home()
    try:
        print(f"carried: {lay_embedded(home)}")
    except NociCastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name in " ".join(arguments).split():
        if name == DEFAULT:
            continue
        try:
            print(f"carried: {resolve_template(name, home=None).t1w}")
        except NociCastError as error:
            print(f"NOT carried: template {name}. {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

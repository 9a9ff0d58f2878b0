"""Run the command line with ``python -m bidsapp``."""

import sys

from bidsapp.cli import main

sys.exit(main())

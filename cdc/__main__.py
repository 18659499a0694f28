"""`python -m cdc` and the `cdc` command."""

from __future__ import annotations

import sys

from cdc.cli import main

if __name__ == "__main__":
    sys.exit(main())

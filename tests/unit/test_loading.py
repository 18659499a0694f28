"""What a service without apps, vectors and anything to send on does not load: each takes megabytes of each process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["aiohttp", "cel.cli", "genai_prices", "graphql", "inngest", "numpy", "openai"])
def test_the_service_starts_without(package: str) -> None:
    code = f"import sys, cdc.cli.run, cdc.service.parent, cdc.service.child; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

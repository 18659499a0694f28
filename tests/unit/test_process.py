"""What a process asks of the system."""

from __future__ import annotations

import resource
import subprocess
import sys

SHOWN = """
import resource
from cdc.service.process import allow_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (100, min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
allow_connections()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_as_many_connections_as_the_system_allows() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOWN], check=True, capture_output=True, text=True).stdout.split()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 4000 if hard == resource.RLIM_INFINITY else min(4000, hard)
    assert shown == [str(most), str(most)]

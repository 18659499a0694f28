"""What holds for every process of the service."""

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

COLLECTS = """
import gc
gc.disable()
from cdc.service.process import prepare
prepare()
print(gc.isenabled())
"""


def test_garbage_is_looked_for_once_everything_is_imported() -> None:
    shown = subprocess.run([sys.executable, "-c", COLLECTS], check=True, capture_output=True, text=True).stdout
    assert shown == "True\n"


def test_as_many_connections_as_the_system_allows() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOWN], check=True, capture_output=True, text=True).stdout.split()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 4000 if hard == resource.RLIM_INFINITY else min(4000, hard)
    assert shown == [str(most), str(most)]

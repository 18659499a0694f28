"""Memory of processes, from /proc (Linux: proc_pid_status(5))."""

from __future__ import annotations

import re
from pathlib import Path


def peak(pid: int) -> int:
    """The most memory, in bytes, that a process has had (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None, "every process has one"
    return int(found[1]) * 1024

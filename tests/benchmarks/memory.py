"""Memory of processes, from /proc (Linux: proc_pid_status(5))."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tests.benchmarks import cpu


def peak(pid: int) -> int:
    """The most memory, in bytes, that a process has had (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None, "every process has one"
    return int(found[1]) * 1024


def resident(root: int) -> int:
    """The memory, in bytes, that a process and all below it have now, what they share counted for each (VmRSS)."""
    return sum(_resident(pid) for pid in cpu.below(root))


def _resident(pid: int) -> int:
    with suppress(OSError):
        if found := re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) * 1024
    return 0  # it ended while we looked

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


def resident(root: int, *, apart: bool = False) -> int:
    """The memory, in bytes, that a process and all below it have now: pages that they share counted once (Pss), or for
    each of them as if they were `apart` (Rss).
    """
    name = "Rss" if apart else "Pss"
    return sum(_kilobytes(pid, name) for pid in cpu.below(root)) * 1024


def _kilobytes(pid: int, name: str) -> int:
    with suppress(OSError):
        if found := re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()):
            return int(found[1])
    return 0  # it ended while we looked

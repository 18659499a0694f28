from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    """For a server. Not tmp_path: when root runs the tests, the server's user could not get below that."""
    directory = Path(tempfile.mkdtemp(prefix="cdc-tests-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder of function files with one function, which follows the table t."""
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "note.py").write_text(
        "from cdc import Context, function\n\n\n"
        '@function("note", on=["db/t.inserted"])\nasync def note(ctx: Context) -> None: ...\n'
    )
    return folder

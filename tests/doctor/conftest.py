from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import server_folder


@pytest.fixture
def directory() -> Iterator[Path]:
    """For a server."""
    with server_folder() as folder:
        yield folder


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

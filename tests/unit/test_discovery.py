from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc import discovery
from cdc.discovery import BUILT_IN, discover, search_path
from cdc.errors import DiscoveryError

GOOD = """
from cdc import Context, function

@function("{id}", on="app/paid")
async def handler(ctx: Context) -> None: ...
"""


@pytest.fixture(autouse=True)
def _imports_are_forgotten() -> Iterator[None]:
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_built_in_functions_are_always_there() -> None:
    assert search_path("") == [BUILT_IN]
    assert "auto-embed" in discover(search_path(""))


def test_folders_are_looked_through_once_and_in_the_order_they_are_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    assert search_path(f"{two}::{one}:{two}/../two:{BUILT_IN}") == [BUILT_IN, two, one]


@pytest.mark.parametrize("name", ["nowhere", "file.py"])
def test_what_is_not_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.py").touch()
    with pytest.raises(DiscoveryError, match="is not a folder"):
        search_path(f"{tmp_path}:{tmp_path / name}")


def test_functions_are_found_at_any_depth_and_several_in_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a.py", GOOD.format(id="a") + GOOD.format(id="other").replace("handler", "x"))
    write(tmp_path, "deep/down/b.py", GOOD.format(id="b"))
    assert set(discover([tmp_path])) == {"a", "b", "other"}


@pytest.mark.parametrize("name", ["_a.py", ".a.py", "_private/a.py", ".git/a.py", "__pycache__/a.py", "notes.txt"])
def test_files_that_are_the_authors_own_business_are_left_alone(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, "raise AssertionError")
    assert discover([tmp_path]) == {}


def test_a_file_may_import_the_modules_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "_names_of_this_test.py", "ID = 'imported'")
    write(tmp_path, "a.py", "from _names_of_this_test import ID\n" + GOOD.replace('"{id}"', "ID"))
    assert list(discover([tmp_path])) == ["imported"]


def test_one_function_under_two_names_is_one_function(tmp_path: Path) -> None:
    write(tmp_path, "a.py", GOOD.format(id="a") + "again = handler\n")
    assert list(discover([tmp_path])) == ["a"]


def test_an_id_that_is_used_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    one, two = (write(tmp_path, name, GOOD.format(id="a")) for name in ("one.py", "two.py"))
    with pytest.raises(DiscoveryError, match=f"'a' is used in {one} and again in {two}"):
        discover([tmp_path])


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\nx = (\n", 2, "SyntaxError: '(' was never closed"),
        ("\nimport no_such_module", 2, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f():\n    1 / 0\n\nf()", 2, "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')", 2, "JSONDecodeError"),
        ("exit(1)", 1, "SystemExit: 1"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_with_the_line_of_its_author(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    file = write(tmp_path, "broken.py", text)
    with pytest.raises(DiscoveryError) as refusal:
        discover([tmp_path])
    assert refusal.value.message.startswith(f"{file}:{line}: {says}")
    assert discovery.__name__ in sys.modules
    assert not [name for name in sys.modules if name.endswith("_broken")], "half a module must not be found again"


def test_a_mistake_in_a_module_beside_the_file_is_told_with_its_own_line(tmp_path: Path) -> None:
    beside = write(tmp_path, "_mistaken.py", "\n\n1 / 0")
    write(tmp_path, "a.py", "import _mistaken")
    with pytest.raises(DiscoveryError, match=f"{beside}:3: ZeroDivisionError"):
        discover([tmp_path])


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "binary.py"
    file.write_bytes(b"\x00\xff")
    with pytest.raises(DiscoveryError, match=str(file)):
        discover([tmp_path])

"""Folders -> modules -> functions. Fails fast: what cannot be loaded stops the start, before the slot opens.

`@function` only describes; a file's functions are the `Function` objects among its names.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from cdc.authoring.function import Function
from cdc.errors import DiscoveryError

_PACKAGE = Path(__file__).resolve().parent
BUILT_IN = _PACKAGE / "functions" if (_PACKAGE / "functions").is_dir() else _PACKAGE.parent / "functions"
"""Inside the installed package, or beside it in a checkout."""


def search_path(setting: str) -> list[Path]:
    """The folders to look in: the built-in one, then those of CDC_FUNCTIONS.

    Raises:
        DiscoveryError: a folder does not exist.
    """
    folders = {BUILT_IN.resolve(): None}
    for part in filter(None, setting.split(":")):
        folder = Path(part).expanduser().resolve()
        if not folder.is_dir():
            raise DiscoveryError(
                f"CDC_FUNCTIONS names {part}, which is not a folder.", hint="Create it or correct the path."
            )
        folders[folder] = None
    return list(folders)


def discover(folders: Iterable[Path]) -> dict[str, Function]:
    """All functions of all folders, by id.

    Raises:
        DiscoveryError: a file cannot be loaded (with file and line), or an id is used twice.
    """
    found: dict[str, tuple[Function, Path]] = {}
    for file in (file for folder in folders for file in _files(folder)):
        for function in _functions(_load(file)):
            if function.id in found and found[function.id][0] is not function:
                raise DiscoveryError(
                    f"The function id {function.id!r} is used in {found[function.id][1]} and again in {file}.",
                    hint="Rename one: runs find their function by its id.",
                )
            found.setdefault(function.id, (function, file))
    return {id_: function for id_, (function, _) in found.items()}


def _files(folder: Path) -> Iterator[Path]:
    """Function files, at any depth; names that begin with an underscore or a dot are the author's own business."""
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).parts
        if not any(part.startswith(("_", ".")) for part in parts):
            yield file


def _load(file: Path) -> ModuleType:
    name = "cdc_functions_" + "_".join(file.with_suffix("").parts[1:])
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "a .py file always has a loader"
    assert spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # a function file may import the modules beside it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an author's file may raise anything
        del sys.modules[name]
        raise DiscoveryError(
            f"{_place(file, error)}: {type(error).__name__}: {error}",
            hint="Mend the file, or take it out of the folder.",
        ) from None
    return module


def _place(file: Path, error: BaseException) -> str:
    """file:line, as near to the author's mistake as can be said: it may be in a module beside the file."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(file.parent)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(file)


def _functions(module: ModuleType) -> Iterator[Function]:
    found = (value for value in vars(module).values() if isinstance(value, Function))
    return (function for described in found for function in described.with_failure())

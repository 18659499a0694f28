"""CEL's package, without the shell that it brings along: that takes 8 MB of memory in each process."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

_SHELL = "cel.cli"


def _without_shell() -> ModuleType:
    if _SHELL in sys.modules:
        return importlib.import_module("cel")
    sys.modules[_SHELL] = ModuleType(_SHELL)
    try:
        return importlib.import_module("cel")
    finally:
        del sys.modules[_SHELL]


if TYPE_CHECKING:
    import cel as cel
else:
    cel = _without_shell()

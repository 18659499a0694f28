"""The pages of docs/ that are made from the code: `python -m cdc.cli.reference configuration|commands`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from cyclopts import App
from rich.console import Console

from cdc import errors
from cdc.cli import app
from cdc.config import Settings, variable
from cdc.errors import CdcError

WIDTH = 100
"""Columns of the help texts, whatever terminal they are made on."""

_CONFIGURATION = """\
# Configuration

<!-- Made by: python -m cdc.cli.reference configuration > docs/configuration.md -->

Settings are environment variables, read once at start. An empty variable counts as not set. There is no settings file,
and no `.env` file is read. A value that cannot be used stops the command with exit code 78 and a sentence that names
the variable and never repeats the value. libpq's own variables (`PGSSLMODE`, `PGSSLROOTCERT` ...) fill in what
`DATABASE_URL` leaves out.

| variable | default | value | what it is |
|---|---|---|---|
"""

_COMMANDS = """\
# Commands

<!-- Made by: python -m cdc.cli.reference commands > docs/commands.md -->

Every command reads its settings from the environment: [configuration.md](configuration.md). `cdc demo` always starts a
Postgres of its own, `cdc run` does without `DATABASE_URL`; `cdc functions` and `cdc health` need no database; all
others need `DATABASE_URL`. An error is one sentence and the next thing to do, on stderr: [errors.md](errors.md).

"""

_EXIT_CODES = """\
## Exit codes

Those of sysexits(3), where it has one.

| code | name | when |
|---|---|---|
| 0 | EX_OK | done; `cdc run` and `cdc demo`: stopped as asked |
| 1 | | `cdc health`: not ready; `cdc doctor`: something failed; \
`cdc unembed`: nothing was declared; `cdc slot drop`, `cdc cancel`, `cdc replay`: not \
confirmed; `cdc runs`, `cdc events`, `cdc cancel`, `cdc replay`: one that is named is not there, or cannot be; \
`cdc signal`: nobody waits; else a fault of cdc, with a traceback |
| 64 | EX_USAGE | unknown command or option |
"""


def configuration() -> str:
    """docs/configuration.md, from the fields of `Settings`."""
    properties = Settings.model_json_schema(by_alias=False)["properties"]
    return _CONFIGURATION + "".join(_setting(name, schema) for name, schema in properties.items())


def commands() -> str:
    """docs/commands.md, from the help of every public command and the exit codes of all errors."""
    return _COMMANDS + "".join(_help(path) for path in public(app)) + _exit_codes()


def public(group: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that people may give, groups before what is in them."""
    for name in group:
        command = group[name]
        if name.startswith("-") or not command.show:
            continue
        yield (*path, name)
        yield from public(command, (*path, name))


def error_classes() -> list[type[CdcError]]:
    """All errors of the service, in the order of `cdc.errors`."""
    return [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CdcError)]


def _setting(name: str, schema: dict[str, Any]) -> str:
    default = "" if schema["default"] in (None, "") else f"`{_plain(schema['default'])}`"
    cells = (f"`{variable(name)}`", default, _value(schema), schema["description"])
    return f"| {' | '.join(cells)} |\n"


def _value(schema: dict[str, Any]) -> str:
    """Type and range."""
    schema = {**schema.get("anyOf", [{}])[0], **schema}
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "pattern" in schema:
        return f"matches `{schema['pattern']}`"
    if schema["type"] == "boolean":
        return "`true`, `false`"
    if schema["type"] == "string":
        kind = {"password": "text, secret", "path": "path", "duration": "duration"}.get(
            schema.get("format", ""), "text"
        )
        return f"{kind}{_range(schema, 'minLength', 'maxLength', ' characters')}"
    kind = "whole number" if schema["type"] == "integer" else "number"
    return f"{kind}{_range(schema, 'minimum', 'maximum')}"


def _range(schema: dict[str, Any], least: str, most: str, unit: str = "") -> str:
    if least not in schema:
        return ""
    if most not in schema:
        return f", {_number(schema[least])} or more{unit}"
    return f", {_number(schema[least])} to {_number(schema[most])}{unit}"


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else _number(value)


def _number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _help(path: Sequence[str]) -> str:
    made = io.StringIO()
    console = Console(file=made, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    app.help_print(list(path), console=console)
    lines = "\n".join(line.rstrip() for line in made.getvalue().strip().splitlines())
    return f"## cdc {' '.join(path)}\n\n```text\n{lines}\n```\n\n"


def _exit_codes() -> str:
    names = {code: name for name, code in vars(os).items() if name.startswith("EX_")}
    classes: dict[int, list[str]] = {}
    for error in error_classes():
        classes.setdefault(error.exit_code, []).append(f"`{error.__name__}`")
    rows = [f"| {code} | {names[code]} | {', '.join(classes[code])} |\n" for code in sorted(classes)]
    return f"{_EXIT_CODES}{''.join(rows)}| 130 | | ended by Ctrl-C |\n"


PAGES = {"configuration": configuration, "commands": commands}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())

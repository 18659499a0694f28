"""The documentation says what the code does, as far as that can be checked."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import orjson
import psycopg
import pytest
from cyclopts import App

import cdc
from cdc import discovery, errors
from cdc.ai import errors as provider_errors
from cdc.authoring.ai import AiSteps
from cdc.authoring.context import Context
from cdc.authoring.step import Step
from cdc.cli import app, reference
from cdc.config import Settings, variable
from cdc.embedding.offers import MODELS
from cdc.listener.translate import Translator
from cdc.lsn import Position
from cdc.store.migrate import available
from cdc.wal.relations import Relation
from cdc.wal.transactions import Change, Header
from cdc.wal.values import CONVERTERS
from cdc.web.app import app as web
from cdc.web.site import Site
from cdc.web.status import Statuses
from tests.servers import Connect, Connection
from tests.web import sdk

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "shell", "bash", "console")


def doc(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(markdown: str, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(markdown) if language in languages]


def prose(markdown: str) -> str:
    return FENCE.sub("", markdown)


def rows(markdown: str, heading: str) -> dict[str, list[str]]:
    """The first table below a heading: the name in the first cell -> the other cells."""
    _, _, below = markdown.partition(f"\n## {heading}\n")
    table = below.partition("\n|")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in table.splitlines()[2:]]
    return {first.strip("`"): rest for first, *rest in cells}


# --- made from the code ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    again = f"make it again: .venv/bin/python -m cdc.cli.reference {name} > docs/{name}.md"
    assert doc(f"{name}.md") == reference.PAGES[name](), again


def test_a_generated_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference.commands()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert reference.commands() == before


def test_every_setting_has_a_default_and_a_sentence() -> None:
    for name, setting in Settings.model_fields.items():
        assert not setting.is_required(), name
        assert (setting.description or "").endswith("."), name


# --- errors ---------------------------------------------------------------------------------------------------------


def test_every_error_of_the_service_is_in_the_table_as_its_class_says() -> None:
    table = rows(doc("errors.md"), "Errors of the service")
    classes = {error.__name__: error for error in reference.error_classes()}
    assert table.keys() == classes.keys()
    for name, (tried_again, exit_code, meaning, action) in table.items():
        assert tried_again == ("yes" if classes[name].transient else "no"), name
        assert int(exit_code) == classes[name].exit_code, name
        assert meaning, name
        assert action, name


def test_every_error_that_steers_a_run_is_in_the_table_as_its_class_says() -> None:
    table = rows(doc("errors.md"), "Errors that steer a run")
    classes = {
        error.__name__: error
        for module in (errors, provider_errors)
        for error in vars(module).values()
        if inspect.isclass(error) and issubclass(error, Exception) and not issubclass(error, errors.CdcError)
    }
    assert table.keys() - {"any other exception"} == classes.keys()
    for name, error in classes.items():
        tried_again, meaning, action = table[name]
        assert tried_again == ("yes" if issubclass(error, errors.RetryAfter | errors.Thrown) else "no"), name
        assert meaning, name
        assert action, name
        if issubclass(error, errors.RetryAfter) and error is not errors.RetryAfter:
            assert ("no attempt" in meaning) != error.counts_as_attempt, name


def test_the_names_outside_the_tables_are_explained() -> None:
    for name in ("MemoError", "RecordRefused", "NotYet", "Interrupt"):
        assert f"`{name}`" in doc("errors.md")


# --- functions ------------------------------------------------------------------------------------------------------


def test_everything_public_is_documented() -> None:
    functions = doc("functions.md")
    missing = [name for name in cdc.__all__ if not re.search(rf"`@?{name}\b", functions)]
    assert not missing


def test_all_of_the_context_all_steps_and_all_options_are_documented() -> None:
    functions = doc("functions.md")
    attributes = [field.name for field in fields(Context)]
    attributes += [name for name, value in vars(Context).items() if isinstance(value, property)]
    for name in attributes:
        assert f"`ctx.{name}`" in functions, name
    steps = [name for name, value in vars(Step).items() if not name.startswith("_") and not isinstance(value, property)]
    steps += [f"ai.{name}" for name in vars(AiSteps) if not name.startswith("_")]
    for name in steps:
        assert re.search(rf"`await ctx\.step\.{re.escape(name)}\((id, |timeout\)\.run\(id, )", functions), name
    for name in inspect.signature(cdc.function).parameters:
        assert f"| `{name}` |" in functions, name


def test_every_field_of_a_row_event_is_documented() -> None:
    functions = doc("functions.md")
    relation = Relation(1, "public", "users", "d", ())
    change = Change(Position(2, 0), Header(2, 3, 4), relation, "inserted", {}, None, ())
    data = orjson.loads(Translator(1, "default").event(change).data)
    cells = rows(functions, "The event")
    documented = {name.strip("` ") for first in cells for name in first.split(",")}
    assert data.keys() == documented


def test_every_type_with_a_form_of_its_own_is_in_the_table_of_values() -> None:
    values = doc("values.md")
    for oid in CONVERTERS:
        known = psycopg.postgres.types.get(oid)
        assert known is not None
        assert f"`{known.name}`" in values, known.name


@each_page
def test_python_in_the_docs_compiles(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8"), "python"):
        compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def examples() -> Iterator[Any]:
    for each in PAGES:
        for number, block in enumerate(blocks(each.read_text(encoding="utf-8"), "python")):
            if "from cdc import" in block and "@function" in block:
                yield pytest.param(block, id=f"{each.stem}-{number}")


@pytest.mark.parametrize("block", list(examples()))
def test_a_complete_example_is_found_as_a_function_file(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    (tmp_path / "example.py").write_text(block)
    try:
        assert discovery.discover([tmp_path])
    finally:
        for name in {*sys.modules} - before:
            if name.startswith("cdc_functions_"):
                del sys.modules[name]


def test_there_are_examples() -> None:
    assert len(list(examples())) >= 5


# --- what is mentioned exists ---------------------------------------------------------------------------------------


@each_page
def test_links_inside_the_documentation_resolve(page: Path) -> None:
    broken = [link for link in _links(prose(page.read_text(encoding="utf-8"))) if not _resolves(page, link)]
    assert not broken


@each_page
def test_every_variable_that_is_mentioned_is_a_setting(page: Path) -> None:
    known = {variable(name) for name in Settings.model_fields}
    mentioned = set(re.findall(r"\b(?:CDC|OPENAI)_[A-Z][A-Z_]*\b", page.read_text(encoding="utf-8")))
    assert {name for name in mentioned - known if not name.startswith("CDC_FAULT")} == set()


@each_page
def test_every_command_that_is_mentioned_exists(page: Path) -> None:
    unknown = [" ".join(words) for words in _commands(page.read_text(encoding="utf-8")) if not _is_command(app, words)]
    assert not unknown


def test_every_route_and_every_figure_of_the_status_is_documented() -> None:
    operations, others = doc("operations.md"), doc("api.md") + doc("dashboard.md") + doc("metrics.md")
    others += doc("apps.md") + doc("connect.md") + doc("realtime.md")
    site = Site(Statuses(None), _no_connection)
    for route in web(site, sdk.routes(site, _no_connection)).routes:
        path, methods = getattr(route, "path", ""), getattr(route, "methods", None) or ()
        for method in {*methods} - {"HEAD"}:
            assert f"`{method} {path}`".replace(":path", "") in (operations + others).replace(":path", ""), path
    for name in (*Statuses(None).as_json(), "runs"):
        assert f"`{name}`" in operations, name


def test_every_model_is_documented() -> None:
    for name, offer in MODELS.items():
        assert f"| `{name}` | {offer.dimensions} |" in doc("embedding.md")


def test_every_parameter_of_cdc_embed_is_documented() -> None:
    migrations = "".join(migration.text for migration in available("source"))
    signature = migrations.rpartition("function cdc.embed(")[2].partition(") returns")[0]
    parameters = [line.split()[0] for line in signature.strip().splitlines()]
    full = blocks(doc("embedding.md"), "sql")[0].partition(");")[0]
    assert re.findall(r"^ +(\w+) +=>", full, re.MULTILINE) == parameters


def test_every_parameter_and_column_of_cdc_search_is_documented() -> None:
    migrations = "".join(migration.text for migration in available("source"))
    arguments, _, rest = migrations.rpartition("function cdc.search(")[2].partition(") returns table (")
    columns = rest.partition(")")[0].replace(",", "\n")
    section = doc("embedding.md").partition("\n### In SQL\n")[2].partition("\n### ")[0]
    for line in filter(str.strip, (arguments + columns).splitlines()):
        name = line.split()[0].strip('"')
        assert re.search(rf'`"?{name}"?`', section), name


def test_the_extras_that_are_mentioned_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = set(project["project"]["optional-dependencies"])
    for each in PAGES:
        for named in re.findall(r"'\.\[([\w,-]+)\]'", each.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= known, each.name


# --- what is to be pasted works -------------------------------------------------------------------------------------


async def test_statements_that_look_and_the_one_that_removes_can_be_pasted(migrated_url: str, connect: Connect) -> None:
    conn = await connect(migrated_url)
    await conn.execute("create publication cdc")
    await conn.execute(_pasted("operations.md", "## Watching it"))
    await conn.execute(_pasted("functions.md", "## Retries"))
    await conn.execute(_pasted("ai.md", "## What is recorded"))
    await conn.execute(_pasted("embedding.md", "### Texts that are refused"))
    await conn.execute(_pasted("operations.md", "## Stopping"))
    assert await _column(conn, "select nspname::text from pg_namespace where nspname like 'cdc%'") == []


def _links(markdown: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", markdown):
        if not re.match(r"\w+:", target):
            yield target


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or anchor in {_slug(line) for line in prose(target.read_text(encoding="utf-8")).splitlines()}


def _slug(line: str) -> str:
    """The anchor of a heading, as GitHub makes it; empty for other lines."""
    heading = re.match(r"#+ (.*)", line)
    return re.sub(r"[^\w -]", "", heading[1].lower()).replace(" ", "-") if heading else ""


def _commands(markdown: str) -> Iterator[list[str]]:
    """The words after `cdc` in shell blocks, in indented blocks and between backticks."""
    code = blocks(markdown, *SHELL)
    code += re.findall(r"^    .*$", prose(markdown), re.MULTILINE)
    code += re.findall(r"`([^`\n]+)`", prose(markdown))
    for piece in code:
        for words in re.findall(r"(?<![\w./-])cdc((?: (?!cdc\b)[a-z]+)+)", piece):
            yield words.split()


def _is_command(group: App, words: list[str]) -> bool:
    first, *rest = words
    if first not in group or not group[first].show:
        return False
    has_commands = any(not name.startswith("-") for name in group[first])
    named = has_commands and rest and not (group[first].default_command and rest[0] not in group[first])
    return not named or _is_command(group[first], rest)


def _no_connection() -> NoReturn:
    raise AssertionError("nobody asks")


def _pasted(name: str, heading: str) -> bytes:
    """The first SQL below a heading."""
    _, found, below = doc(name).partition(f"\n{heading}\n")
    assert found, heading
    return blocks(below, "sql")[0].encode()


async def _column(conn: Connection, query: Any) -> list[Any]:
    return sorted(row[0] for row in await (await conn.execute(query)).fetchall())

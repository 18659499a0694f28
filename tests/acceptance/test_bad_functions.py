"""Function files that cannot be loaded stop the start with file and line, while there is no slot to pass events by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conftest import Write
from tests.acceptance.service import cdc, refused
from tests.servers import Connect

GOOD = """
    from cdc import Context, function

    @function("welcome", on="db/users.inserted")
    async def welcome(ctx: Context) -> None: ...
"""


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("import cdc\n\ndef broken(:\n    pass\n", 3, "SyntaxError: invalid syntax"),
        ("import cdc\nimport no_such_module\n", 2, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def fail():\n    raise KeyError('secret')\n\nfail()\n", 2, "KeyError: 'secret'"),
        ("import sys\n\nsys.exit('over')\n", 3, "SystemExit: over"),
        ("from cdc import function\n\n@function('x', on='db/x.vanished')\nasync def x(ctx): ...\n", 3, "ValueError"),
    ],
)
async def test_a_file_that_cannot_be_loaded_is_told_with_its_line(
    functions: Path, write: Write, text: str, line: int, says: str
) -> None:
    write("good.py", GOOD)
    broken = write("broken.py", text)
    done = await cdc("functions", CDC_FUNCTIONS=functions)
    assert done.code == 78
    assert done.told[0].startswith(f"cdc: {broken}:{line}: {says}")
    assert done.told[1:] == ["     Mend the file, or take it out of the folder."]


async def test_a_broken_file_stops_the_start_before_there_is_a_slot(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    broken = write("broken.py", "import no_such_module\n")
    await refused(
        "run",
        code=78,
        says=f"{broken}:1: ModuleNotFoundError",
        hint="Mend the file",
        DATABASE_URL=database_url,
        CDC_FUNCTIONS=functions,
    )
    conn = await connect(database_url)
    row = await (
        await conn.execute("select count(*) from pg_replication_slots where database = current_database()")
    ).fetchone()
    assert row == (0,)


async def test_an_id_that_is_used_twice_is_told_with_both_files(functions: Path, write: Write) -> None:
    one, two = write("one.py", GOOD), write("two.py", GOOD)
    done = await refused("functions", code=78, says="'welcome' is used in", hint="Rename one", CDC_FUNCTIONS=functions)
    assert f"{one} and again in {two}" in done.told[0]


async def test_functions_are_listed_each_on_one_line_with_what_starts_it(functions: Path, write: Write) -> None:
    event, id_ = "db/accounting.invoices_that_nobody_has_paid_yet.inserted", "remind [/b] :bell:"
    write("good.py", GOOD.replace("db/users.inserted", event).replace("welcome", id_, 1))
    done = await cdc("functions", CDC_FUNCTIONS=functions)
    assert done.code == 0
    assert [id_ in line and event in line for line in done.out.splitlines()].count(True) == 1
    assert "auto-embed" in done.out

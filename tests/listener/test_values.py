"""Values from SQL through the real stream: each family comes out as the JSON that docs/values.md promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cdc.listener import catalog
from tests.listener.families import ARRAYS, FAMILIES, NULLS, OWN_TYPES, Value
from tests.listener.mirror import Mirror
from tests.listener.source import publish
from tests.servers import Connect


@pytest.fixture
async def families(any_database_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mirror]:
    monkeypatch.setattr(catalog, "FRESH", 3600.0)
    columns = [f'"{name}" {name}' for name in FAMILIES | ARRAYS]
    source = await publish(any_database_url, connect, *OWN_TYPES, f"create table t ({', '.join(columns)})")
    async with await source.open() as stream:
        yield Mirror(source, stream)


ROWS = st.fixed_dictionaries({name: values | NULLS for name, values in (FAMILIES | ARRAYS).items()})


# A whole row takes minutes to shrink, and says what is wrong as it is.
@settings(max_examples=30, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(row=ROWS)
async def test_every_value_of_every_family_comes_back(families: Mirror, row: dict[str, Value]) -> None:
    given = orjson.dumps({name: value.given for name, value in row.items()}).decode()
    statement = "insert into t select * from json_populate_record(null::t, %s)"
    await families.source.connection.execute(statement, [given])
    (told,) = await families.rows()
    expected = {name: value.expected for name, value in row.items()}
    assert {name: value for name, value in told.items() if value != expected.get(name)} == {}
    assert families.reads == 1


ODD: dict[str, tuple[str, Any]] = {
    "a null beside the word": ("'{NULL,\"NULL\",null}'::text[]", [None, "NULL", None]),
    "bounds": ("'[2:3][-1:0]={{1,2},{3,4}}'::int[]", [[1, 2], [3, 4]]),
    "an empty array": ("'{}'::int[][]", []),
    "boxes": ("'{(1,1),(0,0);(2,2),(1,1)}'::box[]", ["(1,1),(0,0)", "(2,2),(1,1)"]),
    "points": ("array[point(1, 2), null]", ["(1,2)", None]),
    "arrays in an array": ('\'{"{a,b}",NULL,"{}"}\'::words[]', [["a", "b"], None, []]),
    "an array of a domain": ("array[1, null]::positive[]", [1, None]),
    "a domain over a record": ("row(1, 'x', null, null, null, null)::part::checked", {"note": "x"}),
    "a record of nulls": ("row(null, null, null, null, null, null)::part", {"note": None}),
    "vectors of numbers": ("'1 -2'::int2vector", [1, -2]),
    "a vector of oids": ("'1 4294967295'::oidvector", [1, 4294967295]),
    "arrays of vectors": ("array['1 2'::int2vector, '3']", [[1, 2], [3]]),
    "a range": ("'[1,5)'::int4range", "[1,5)"),
    "a range of moments": (
        "tstzrange('2026-01-01 00:00+00', null)",
        '["2026-01-01 00:00:00+00",)',
    ),
    "ranges": ("'{[1,3),[7,9)}'::int4multirange", "{[1,3),[7,9)}"),
    "an array of ranges": ("array['[1,5)'::int4range, 'empty']", ["[1,5)", "empty"]),
    "an address": ("'10.1.0.0/16'::inet", "10.1.0.0/16"),
    "a network": ("'10.1.0.0/16'::cidr", "10.1.0.0/16"),
    "a card": ("'08:00:2b:01:02:03'::macaddr", "08:00:2b:01:02:03"),
    "a point": ("point(1.5, -2)", "(1.5,-2)"),
    "a polygon": ("'((0,0),(1,1))'::polygon", "((0,0),(1,1))"),
    "bits": ("b'101'", "101"),
    "more bits": ("b'101'::varbit", "101"),
    "words to search": ("to_tsvector('simple', 'b a b')", "'a':2 'b':1,3"),
    "a search": ("'a & b'::tsquery", "'a' & 'b'"),
    "a place in the WAL": ("'16/B374D848'::pg_lsn", "16/B374D848"),
    "money": ("'1234.5'::money", "$1,234.50"),
    "a letter": ("'a'::\"char\"", "a"),
    "a padded text": ("'a'::char(3)", "a  "),
    "a name": ("'Näme'::name", "Näme"),
    "a time of a zone": ("'10:11:12.5+02'::timetz", "10:11:12.5+02:00"),
    "a time of an odd zone": ("'10:11:12-03:30:15'::timetz", "10:11:12-03:30:15"),
    "an end of the day": ("'24:00'::time", "24:00:00"),
    "an interval": ("'1 year -2 days 03:04:05.6'::interval", "P1Y-2DT3H4M5.6S"),
    "no interval": ("'0'::interval", "PT0S"),
    "a day before Christ": ("'0044-03-15 BC'::date", "0044-03-15 BC"),
    "a moment before Christ": ("'0044-03-15 12:00+00 BC'::timestamptz", "0044-03-15 12:00:00+00 BC"),
    "for ever": ("array['infinity', '-infinity']::timestamptz[]", ["infinity", "-infinity"]),
    "a far year": ("'12026-01-01 00:00+00'::timestamptz", "12026-01-01T00:00:00+00:00"),
    "a path in JSON": ("'$.a'::jsonpath", '$."a"'),
    "a snapshot": ("array['10:20:10,14'::pg_snapshot]", ["10:20:10,14"]),
    "an uncertain table": ("'t'::regclass", "t"),
}


async def test_odd_values_have_the_form_of_the_documentation(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, *OWN_TYPES, "create table t (id int)")
    for number, (sql, _) in enumerate(ODD.values()):
        await source.run(
            f"create table t{number} as select {sql} as v with no data", f"alter publication p add table t{number}"
        )
    async with await source.open() as stream:
        mirror = Mirror(source, stream)
        for number, (sql, _) in enumerate(ODD.values()):
            await source.run(f"insert into t{number} select {sql}")
        told = [row["v"] for row in await mirror.rows(commits=len(ODD))]
    # Of records only what was said of them is compared.
    trimmed = [
        {name: value[name] for name in expected} if isinstance(expected, dict) else value
        for value, (_, expected) in zip(told, ODD.values(), strict=True)
    ]
    assert dict(zip(ODD, trimmed, strict=True)) == {name: expected for name, (_, expected) in ODD.items()}

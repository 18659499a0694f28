from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.wal import nested
from cdc.wal.types import Array, Composite, Domain, Scalar, Types
from cdc.wal.values import converter

PAIR, PAIRS, WORD, EMPTY, LOOP, STORE = range(20_000, 20_006)
TYPES = Types(
    {
        PAIR: Composite((("a", 23), ("b", WORD))),
        PAIRS: Array(PAIR),
        WORD: Domain(25),
        EMPTY: Composite(()),
        LOOP: Composite((("self", LOOP),)),
        STORE: Scalar("hstore", "hstore"),
    }
)
INTS, TEXTS, BOXES, VECTORS = 1007, 1009, 1020, 1006


@pytest.mark.parametrize(
    ("type_oid", "raw", "expected"),
    [
        (INTS, "{}", []),
        (INTS, "{1,NULL,-3}", [1, None, -3]),
        (INTS, "{{1,2},{3,NULL}}", [[1, 2], [3, None]]),
        (INTS, "[0:1]={1,2}", [1, 2]),
        (INTS, "[-1:0][2:2]={{1},{2}}", [[1], [2]]),
        (TEXTS, '{NULL,"NULL",null,""}', [None, "NULL", "null", ""]),
        (TEXTS, r'{"a,b","{c}","\"","\\","d e"}', ["a,b", "{c}", '"', "\\", "d e"]),
        (TEXTS, '{{{{{{"deep"}}}}}}', [[[[[["deep"]]]]]]),
        (TEXTS, "{[x]=y}", ["[x]=y"]),
        (BOXES, "{(1,1),(0,0);(2,2),(1,1)}", ["(1,1),(0,0)", "(2,2),(1,1)"]),
        (VECTORS, '{"1 2","3"}', [[1, 2], [3]]),
        (PAIR, "(1,x)", {"a": 1, "b": "x"}),
        (PAIR, "(,)", {"a": None, "b": None}),
        (PAIR, '(,"")', {"a": None, "b": ""}),
        (PAIR, r'(1," ""q"" \\ ,()")', {"a": 1, "b": ' "q" \\ ,()'}),
        (PAIRS, r'{"(1,\"x y\")",NULL,"(2,)"}', [{"a": 1, "b": "x y"}, None, {"a": 2, "b": None}]),
        (EMPTY, "()", {}),
        (LOOP, "((1))", "((1))"),
        (STORE, "", {}),
        (STORE, r'"a"=>"1", "b, \"c\""=>NULL, "\\"=>"NULL"', {"a": "1", 'b, "c"': None, "\\": "NULL"}),
    ],
)
def test_what_postgres_writes_is_read(type_oid: int, raw: str, expected: Any) -> None:
    assert converter(type_oid, TYPES)(raw.encode()) == expected


MALFORMED = [
    *((TEXTS, raw) for raw in ("", "{", "}", "a", "{a", "a}", "{a}}", "{{a}", "{a,}", "{,a}", "{a,,b}", "{a}{b}")),
    *((TEXTS, raw) for raw in ('{"a}', '{"a"b}', '{a"b"}', '{"a""b"}', '"a"', '{"a"}x', "{{}{}}", "{{a},}", '{,"a"}')),
    *((TEXTS, raw) for raw in ("[1:2]", "[1:2]=", "[1]={a}", "{\\", "{{{{{{{a}}}}}}}")),
    (INTS, "{x}"),
    (INTS, "{1.5,2}"),
    *((PAIR, raw) for raw in ("", "(", "(1,x", "1,x)", "(1)", "(1,x,y)", "(x,x)", "(1,x)y", '(1,"x)', '(1,"x"y)')),
    *((EMPTY, raw) for raw in ("(1)", "(,)", "")),
    *((STORE, raw) for raw in ('"a"', '"a"=>', '"a"=>1', "a=>NULL", '"a"=>"1""b"=>"2"', '"a"=>"1" ')),
]


@pytest.mark.parametrize(("type_oid", "raw"), MALFORMED)
def test_what_it_never_writes_stays_text(type_oid: int, raw: str) -> None:
    assert converter(type_oid, TYPES)(raw.encode()) == raw


@given(st.sampled_from([TEXTS, PAIRS, PAIR, STORE, INTS]), st.text('{}()[]"\\,;=>: aN1', max_size=30))
def test_anything_else_is_read_or_stays_text(type_oid: int, raw: str) -> None:
    value = converter(type_oid, TYPES)(raw.encode())
    assert value == raw or isinstance(value, list | dict)


@pytest.mark.parametrize(
    ("type_oid", "raw"),
    [
        (TEXTS, b"{" + b'"' + b"\\\\" * 500_000),
        (TEXTS, b"{" * 1_000_000),
        (TEXTS, b'{"' + b"a" * 1_000_000),
        (PAIR, b'(1,"' + b'""' * 500_000),
        (PAIR, b"(" * 1_000_000),
        (STORE, b'"' + b"\\a" * 500_000),
    ],
    ids=["escapes", "braces", "quoted", "doubled", "parentheses", "keys"],
)
def test_a_large_value_that_never_ends_is_given_up_at_once(type_oid: int, raw: bytes) -> None:
    began = time.process_time()
    assert converter(type_oid, TYPES)(raw) == raw.decode()
    assert time.process_time() - began < 10


def test_a_large_value_is_read_in_one_go() -> None:
    raw = b'{"%s"}' % (b"x\\\\" * 1_000_000)
    (value,) = nested.array(b",", bytes.decode, raw)
    assert value == "x\\" * 1_000_000

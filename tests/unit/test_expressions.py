from __future__ import annotations

from typing import Any

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.authoring.expressions import Expression, at, canonical, matching

BOTH = ("event", "async")

EVENT: dict[str, Any] = {
    "id": "01",
    "name": "shop/order.placed",
    "ts": 1727146545006,
    "user": {"id": 7},
    "v": None,
    "data": {
        "user_id": 42,
        "total": 100.5,
        "whole": 100,
        "name": "Zoë",
        "nothing": None,
        "odd-key": "odd",
        "items": [{"sku": "a", "price": 3}, {"sku": "b"}],
        "nested": {"deep": {"er": True}},
        "huge": 2**70 + 1,
    },
}


def value(text: str, event: dict[str, Any] = EVENT, awaited: dict[str, Any] | None = None) -> Any:
    return Expression.compile(text, of=BOTH).value(event, awaited)


def holds(text: str, event: dict[str, Any] = EVENT, awaited: dict[str, Any] | None = None) -> bool:
    return Expression.compile(text, of=BOTH).holds(event, awaited)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.user_id == 42",
        "event.data.user_id == 42.0",
        "event.data.total > 100",
        "event.data.whole < 100.5",
        "event.data.user_id in [41.0, 42.0]",
        "event.data.huge > 100",
        "size(event.data.name) == 3",
        "event.data.name.size() == 3 && event.data.items.size() == 2 && size(event.data.nested) == 1",
        "event.data.name.startsWith('Zo')",
        "event.data.name.matches('^Z.*$')",
        "event.data.name.contains('o') ? event.data.user_id == 42 : false",
        "event.data.items.exists(item, item.sku == 'b')",
        "event.data.items.all(item, has(item.sku))",
        "event.data.items.map(item, item.sku) == ['a', 'b']",
        "event.data.items.filter(item, item.price == 3).size() == 1",
        "event.data.items[1].sku == 'b'",
        "event.data.items[event.data.user_id - 41].sku == 'b'",
        "event['data'][\"odd-key\"] == 'odd'",
        "event.data['odd-key'] == r'odd' // a comment on event.data.x",
        "event.data.nested.deep.er",
        "'sku' in event.data.items[0]",
        "event.name == 'shop/order.placed' && event.user.id == 7",
        "type(event.data.user_id) == int",
        "'event.data.user_id' + \"async\" == 'event.data.user_idasync'",
        "has(event.data.nothing)",
        "event.data.nothing == null",
        "timestamp('2024-01-02T00:00:00Z') > timestamp('2024-01-01T00:00:00Z')",
    ],
)
def test_an_expression_holds(text: str) -> None:
    assert value(text) is True
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.missing == 1 || event.data.user_id == 42",
        "event.data.missing > 1 || event.data.user_id == 42",
        "event.data.user_id == 42 || event.data.missing > 1",
        "event.data.missing != 1",
        "event.data.missing == null",
        "event.data.missing.deeper == null",
        "event.user.missing == event.data.missing",
        "event.data.items[7].sku == null",
        "event.data.name.first == null",
        "!has(event.data.missing)",
        "!has(event.data.missing.deeper)",
        "!has(event.data.items[7].sku)",
        "event.data.items.exists(item, item.price == null)",
        "event.data.items.exists(item, item.maker.name == 'x' || item.sku == 'b')",
        "event.data.items.all(item, !has(item.maker.name))",
        "event.data.items[1]['price'] == null",
        "async.data.user_id == null",
        "size(event.data.missing) == null",
    ],
)
def test_a_missing_field_is_null(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.missing > 5",
        "!(event.data.missing > 5)",
        "event.data.name > 5",
        "event.data.missing.startsWith('a')",
        "event.data.user_id.startsWith('4')",
        "event.data.missing in event.data.missing",
        "size(event.data.missing) < 1",
        "event.data.missing ? true : true",
        "event.data.missing + 1 == 1",
        "event.data.whole / 0 == 1",
        "event.data.items[-1].sku == 'b'",
        "event.data.items.exists(item, item.price > 5 && item.sku == 'b')",
        "int(event.data.name) == 1",
        "event.data.name.matches('[')",
    ],
)
def test_what_does_not_fit_is_null_and_does_not_hold(text: str) -> None:
    assert value(text) is None
    assert not holds(text)


@pytest.mark.parametrize("text", ["event.data.user_id", "event.data.name", "event.data.items", "1", "'true'"])
def test_only_true_holds(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event.data.huge", 2**70 + 1),
        ("event.data.items", EVENT["data"]["items"]),
        ("event", EVENT),
        ("{'a': [1u, 2.5, event.data.name]}", {"a": [1, 2.5, "Zoë"]}),
        ("timestamp('2024-01-01T00:00:00Z')", "2024-01-01T00:00:00Z"),
        ("duration('90m')", "5400s"),
        ("duration('1500ms')", "1.5s"),
        ("b'abc'", "YWJj"),
        ("double('NaN')", None),
    ],
)
def test_a_value_is_json(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("event.data.", r"not CEL: .* \(line 1, column 12\)"),
        ("1 +", "not CEL"),
        ("(" * 200 + "1" + ")" * 200, "not CEL"),
        ("1" * 10_001, "10000 characters"),
        ("evnt.data.x == 1", "no variable 'evnt'"),
        (".event.data.x == 1", r"'\.event' is no name"),
        ("event.dta.x == 1", "no field 'dta'; it has id, name, data, ts, user, v"),
        ("async.user_id == 1", "no field 'user_id'"),
        ("event.data.items.exists(i, true) && i", "no variable 'i'"),
        ("event.data.items.exists(event, true)", "cannot name an element"),
        ("lower(event.data.x)", "no function 'lower'"),
        ("event.data.name.lower() == 'a'", "no function 'lower'"),
        ("Money{amount: 1}", "no variable 'Money'"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Expression.compile(text, of=BOTH)


def test_async_is_refused_where_nothing_is_awaited() -> None:
    with pytest.raises(ValueError, match=r"cannot use 'async': here an expression is over event$"):
        Expression.compile("async.data.x == event.data.x")
    assert Expression.compile("event.data.async == 1").holds({"data": {"async": 1}})


def test_expressions_of_one_text_are_one_key() -> None:
    assert {Expression.compile("event.id"): 1}[Expression.compile("event.id")] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event.data.name", "Zoë"),
        ("event.data.user_id", "42"),
        ("event.data.missing", "null"),
        ("event.data.nested", '{"deep":{"er":true}}'),
        ("event.data.name + '-' + string(event.data.user_id)", "Zoë-42"),
        ("event.data.huge", str(2**70 + 1)),
        ("'a\\nb'", "a\nb"),
        ("'a\\u0000b'", '"a\\u0000b"'),
    ],
)
def test_a_key_is_a_text(text: str, expected: str) -> None:
    assert Expression.compile(text).key(EVENT) == expected


@settings(deadline=None)
@given(st.text(), st.text())
def test_keys_fit_a_row_and_differ_as_their_values_do(one: str, other: str) -> None:
    key = Expression.compile("event.data.key")
    texts = [key.key({"data": {"key": text * 300}}) for text in (one, other)]
    assert (texts[0] == texts[1]) == (one == other)
    assert all("\0" not in text and len(text) <= 512 for text in texts)


def test_a_value_too_deep_to_write_is_a_key_like_any_other() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    assert Expression.compile("event.data").key({"data": deep}) == "null"


def test_equal_numbers_have_one_text_and_other_types_have_theirs() -> None:
    assert canonical(1) == canonical(1.0) == "1"
    assert canonical([1.0, {"a": 2.0}]) == canonical([1, {"a": 2}])
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1})
    assert len({canonical(each) for each in (True, "true", 1, "1", 1.5, None, "null")}) == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("async.data.user_id == event.data.user_id", ("data.user_id", "42")),
        ("event.data.user_id == async.data.user_id", ("data.user_id", "42")),
        ("(((async.data.user_id)) == (event.data.user_id))", ("data.user_id", "42")),
        ("async.data.total > 3 && async.name == 'x' && async.v == '1'", ("name", '"x"')),
        ("(async.data.total > 3 && (event.data.name == async.data['name'])) && true", ("data.name", '"Zo\\u00eb"')),
        ("async.data.id == event.data.user_id + 1", ("data.id", "43")),
        ("async.data.a == async.data.b && async.data.b == 1", ("data.b", "1")),
        ("async.data.items[0].sku == 'a'", ("data.items.0.sku", '"a"')),
        ("async.data.paid == true", ("data.paid", "true")),
        ("async.data.s == '&& || async'", ("data.s", '"&& || async"')),
        ("async.data.x == (event.data.user_id == 42 ? 'yes' : 'no')", ("data.x", '"yes"')),
        ("async.data.x == 1 || true", None),
        ("async.data.x == 1 && true || true", None),
        ("async.data.x == 1 ? true : false", None),
        ("!(async.data.x == 1)", None),
        ("async.data.x == 1 == true", None),
        ("async.data.x != 1", None),
        ("async.data.x + 1 == 2", None),
        ("async.data.x.size() == 2", None),
        ("has(async.data.x) == true", None),
        ("async.data['a.b'] == 1", None),
        ("async.data == event.data", None),
        ("async == event", None),
        ("async.data.x == event.data.missing", None),
        ("async.data.x == event.data.items", None),
        ("[1].exists(i, async.data.x == i)", None),
        ("event.data.x == 1", None),
    ],
)
def test_the_equality_of_a_wait(text: str, expected: tuple[str, str] | None) -> None:
    assert Expression.compile(text, of=BOTH).equality(EVENT) == expected


def test_large_numbers_are_compared_exactly() -> None:
    same = Expression.compile("async.data.huge == event.data.huge && true", of=BOTH)
    assert same.holds(EVENT, {"data": {"huge": 2**70 + 1}})
    assert not same.holds(EVENT, {"data": {"huge": 2**70}})


def test_a_path_leads_through_objects_and_lists() -> None:
    assert at("data.items.1.sku", EVENT) == "b"
    assert at("name", EVENT) == "shop/order.placed"
    for nowhere in ("data.items.9.sku", "data.name.x", "nothing", "data.items.sku", "data..x", ""):
        assert at(nowhere, EVENT) is None


def test_events_match_where_both_have_the_same() -> None:
    for path in ("data.user_id", "data.odd-key", "data.in", "data.items.0.sku", "name"):
        first = path.split(".")[0]
        one = {first: EVENT[first] | {"in": 1} if first == "data" else EVENT[first]}
        expression = matching(path)
        assert expression.holds(one, one)
        assert not expression.holds(one, {})
        assert not expression.holds({}, one)
        assert not expression.holds({}, {})
        assert expression.equality(one) == (path, canonical(at(path, one)))
    assert not matching("data.nothing").holds(EVENT, EVENT)
    assert not matching("data.user_id").holds(EVENT, {"data": {"user_id": "42"}})


@pytest.mark.parametrize("path", ["", "data.", "data..x", "user_id", "event.data.x", "data.a b", "data.x == 1", ".x"])
def test_an_unusable_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path in an event"):
        matching(path)


# Small domains, so that equal values, missing fields and other types meet often.
names = st.sampled_from(["a", "b", "in", "odd-key"])
scalars = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 1.5, "1", "true", "", 2**53, 2**53 + 1, 2.0**53, 2**70, 2**70 + 1]
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3))
events = st.fixed_dictionaries({"name": st.just("x"), "data": values}, optional={"user": values})

steps = st.sampled_from([".a", ".b", '["in"]', '["odd-key"]', "[0]"])
roots = st.sampled_from(["event", "async"])
fields = st.sampled_from([".data", ".user", ".name", ""])


@st.composite
def paths(draw: st.DrawFn) -> str:
    field = draw(fields)
    return draw(roots) + field + ("".join(draw(st.lists(steps, max_size=3))) if field else "")


# Such as `has` takes: the last part is a name.
members = st.builds(
    "{}{}{}{}".format,
    roots,
    st.sampled_from([".data", ".user", ".name"]),
    st.lists(steps, max_size=2).map("".join),
    st.sampled_from([".a", ".b"]),
)


@st.composite
def operands(draw: st.DrawFn) -> str:
    path = draw(paths())
    literal = draw(st.sampled_from(["1", "1.0", "'1'", "true", "null", "9007199254740993"]))
    index = draw(paths())
    return draw(
        st.sampled_from([path, path, path, literal, f"({path})", f"{path}[{index}]", f"size({path})", f"[{path}]"])
    )


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    one, other = draw(operands()), draw(operands())
    sign = draw(st.sampled_from(["==", "==", "==", "!=", "<", ">=", "in"]))
    macro = f"{draw(paths())}.exists(i, i.a == {other})"
    return draw(st.sampled_from([f"{one} {sign} {other}", f"{one} {sign} {other}", f"has({draw(members)})", macro]))


expressions = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "&&", "||"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("!({})".format),
        st.tuples(inner, inner, inner).map(lambda each: f"{each[0]} ? {each[1]} : {each[2]}"),
    ),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.one_of(expressions, operands()), events, events)
def test_the_needed_parts_of_an_event_do_for_the_event(
    text: str, event: dict[str, Any], awaited: dict[str, Any]
) -> None:
    expression = Expression.compile(text, of=BOTH)
    parts = expression.needs(event)
    assert canonical(expression.value(parts, awaited)) == canonical(expression.value(event, awaited))
    assert expression.holds(parts, awaited) is expression.holds(event, awaited)
    assert expression.key(parts) == expression.key(event)
    assert expression.equality(parts) == expression.equality(event)
    assert expression.needs(parts) == parts


def test_no_more_is_needed_than_is_read() -> None:
    expression = Expression.compile(
        "event.data.nested.deep.er && has(event.data.nothing) && event.data.items[0].sku == 'a'"
    )
    data = EVENT["data"]
    assert expression.needs(EVENT) == {
        "data": {"nested": data["nested"], "nothing": None, "items": data["items"]},
    }


# Mostly what a wait says: `async` has the value that `event` has, and perhaps something else as well.
awaited_paths = st.sampled_from(["async.data.a", "(async.data.b)", 'async.data["in"]', "async.data.a[0]"])
others = st.sampled_from(["event.data.a", "event.data.b", "1", "1.0", "'1'", "true", "(event.data.a)", "-event.data.b"])
equalities = st.tuples(awaited_paths, others, st.booleans()).map(
    lambda each: f"{each[0]} == {each[1]}" if each[2] else f"{each[1]} == {each[0]}"
)
extras = st.sampled_from(["true", "true", "has(event.data.a)", "async.data.a != async.data.b"]) | comparisons()
waits = st.one_of(
    equalities,
    st.tuples(equalities, extras).map(" && ".join),
    st.tuples(extras, equalities).map(" && ".join),
    st.tuples(extras, equalities, extras).map(lambda each: f"{each[0]} && ({each[1]} && ({each[2]}))"),
    st.tuples(equalities, st.sampled_from(["||", "== true ||"]), extras).map(" ".join),
    st.tuples(equalities, equalities, equalities).map(lambda each: f"{each[0]} ? {each[1]} : {each[2]}"),
)
few = st.sampled_from([1, 1, 1, 1.0, True, "1", None, 2**70, 2**70 + 1])
simple = st.fixed_dictionaries(
    {"data": st.fixed_dictionaries({"a": few | st.lists(few, max_size=1), "b": few}, optional={"in": few})}
)
pairs = st.tuples(simple, simple) | simple.map(lambda event: (event, event))


@settings(deadline=None, max_examples=300)
@given(waits, pairs)
def test_what_holds_has_its_equality(text: str, pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    event, awaited = pair
    expression = Expression.compile(text, of=BOTH)
    found = expression.equality(event)
    if found is not None and expression.holds(event, awaited):
        assert canonical(at(found[0], awaited)) == found[1]


@settings(deadline=None, max_examples=300)
@given(waits, pairs)
def test_the_equality_only_speeds_up_what_holds(text: str, pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    event, awaited = (_small(each) for each in pair)
    by_cel = Expression.compile(f"[{text}][0]", of=BOTH)
    assert by_cel.equality(event) is None
    assert Expression.compile(text, of=BOTH).holds(event, awaited) is by_cel.holds(event, awaited)


@settings(deadline=None)
@given(values, values)
def test_two_events_match_when_their_values_have_one_text(one: Any, other: Any) -> None:
    event, awaited = {"data": {"x": one}}, {"data": {"x": other}}
    found = matching("data.x").equality(event)
    if found is None:
        assert one is None or isinstance(one, list | dict)
    else:
        assert matching("data.x").holds(event, awaited) is (found[1] == canonical(at(found[0], awaited)))


@settings(deadline=None)
@given(expressions, events, events)
def test_names_of_elements_and_spaces_change_nothing(text: str, event: dict[str, Any], awaited: dict[str, Any]) -> None:
    other = text.replace("exists(i, i.a", "exists(_0, _0.a").replace("(", "( ").replace("[0]", "[ 0 ]")
    assert canonical(value(other, event, awaited)) == canonical(value(text, event, awaited))


@settings(deadline=None)
@given(st.one_of(expressions, operands()), events, events)
def test_where_cel_has_a_value_without_filling_gaps_it_is_that_value(
    text: str, event: dict[str, Any], awaited: dict[str, Any]
) -> None:
    event, awaited = (_small(each) for each in (event, awaited))
    try:
        native = cel.evaluate(text, {"event": event, "async": awaited})
    except (LookupError, RuntimeError, TypeError, ValueError):
        return
    assert canonical(value(text, event, awaited)) == canonical(native)


def _small(value: Any) -> Any:
    """Without the numbers that CEL rounds."""
    if isinstance(value, dict):
        return {name: _small(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_small(each) for each in value]
    return 7 if isinstance(value, int | float) and value > 2**52 else value

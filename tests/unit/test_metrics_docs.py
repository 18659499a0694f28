"""What docs say of metrics, the dashboard and the alerts is what the service tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml  # type: ignore[import-untyped]

from cdc.tallies import MOST_NAMES
from cdc.web.families import FAMILIES

DOCS = Path(__file__).parents[2] / "docs"
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ((?:`\w+`(?:, )?)*) \| (.+) \| (.+) \|$", re.MULTILINE)
NAME = re.compile(r"\b(?:cdc|process)_[a-z_]+\b")


def shown(name: str) -> str:
    return f"{name}_total" if FAMILIES[name].kind == "counter" else name


def samples(name: str) -> set[str]:
    """The names that queries may use."""
    endings = ("_bucket", "_sum", "_count") if FAMILIES[name].kind == "histogram" else ("",)
    return {shown(name) + ending for ending in endings}


QUERIED = {each for name in FAMILIES for each in samples(name)} | PROCESS


def test_every_metric_is_documented_with_its_type_its_labels_and_a_bound() -> None:
    page = (DOCS / "metrics.md").read_text()
    rows = {name: (kind, re.findall(r"\w+", labels), bound) for name, kind, labels, _, bound in ROW.findall(page)}
    assert rows.keys() == {shown(name) for name in FAMILIES}
    for name, family in FAMILIES.items():
        kind, labels, bound = rows[shown(name)]
        assert (kind, tuple(labels)) == (family.kind, family.labels), name
        assert (str(MOST_NAMES + 1) in bound) == bool({"name", "function", "model"} & {*labels}), name


@pytest.mark.parametrize("name", FAMILIES)
def test_names_follow_the_rules_of_prometheus(name: str) -> None:
    family = FAMILIES[name]
    assert re.fullmatch(r"cdc(_[a-z]+)+", name)
    assert not name.endswith("_total"), "samples of counters get it"
    assert family.help.endswith(".")
    units = ("seconds", "bytes", "dollars")
    assert family.kind != "histogram" or name.endswith("_seconds")
    assert not any(f"_{unit}_" in name for unit in units), "the unit is the end of the name"
    assert all(re.fullmatch(r"[a-z]+", label) and label not in ("le", "quantile") for label in family.labels)


def expressions() -> list[tuple[str, str]]:
    """Queries of the dashboard and of the alerts, each with where it stands."""
    board = orjson.loads((DOCS / "grafana.json").read_bytes())
    rules = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"][0]["rules"]
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in targets(panel)]
    return [*found, *((rule["alert"], rule["expr"]) for rule in rules)]


def targets(panel: dict[str, Any]) -> list[dict[str, Any]]:
    return panel.get("targets", [])  # type: ignore[no-any-return]


def test_dashboard_and_alerts_ask_for_metrics_and_labels_that_exist_and_show_each_of_them() -> None:
    asked: set[str] = set()
    for where, expression in expressions():
        names = set(NAME.findall(expression))
        assert names, where
        assert names <= QUERIED, where
        labels = {"le", "instance"} | {label for family in FAMILIES.values() for label in family.labels}
        grouped = {label.strip() for group in re.findall(r"by \(([^)]+)\)", expression) for label in group.split(",")}
        assert grouped | set(re.findall(r"(\w+)=~?\"", expression)) <= labels, where
        assert all(expression.count(opens) == expression.count(closes) for opens, closes in ("()", "{}", "[]")), where
        asked |= names
    assert {name for name in FAMILIES if not samples(name) & asked} == set()


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    rules = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    board = orjson.loads((DOCS / "grafana.json").read_bytes())
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, panel["title"]
        cells |= own
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])

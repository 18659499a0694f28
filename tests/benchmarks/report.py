"""The figures, for people and for machines."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console, JustifyMethod
from rich.table import Table

from tests.benchmarks.figures import Figure

_COLUMNS: tuple[JustifyMethod, ...] = ("left", "right", "left", "right", "left")
_VERDICT = {True: "[green]met", False: "[red]missed", None: ""}


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark's figures; `load` is the machine's load average over the minute that ended with it."""

    name: str
    seconds: float
    load: float
    figures: Sequence[Figure]


@dataclass(slots=True)
class Report:
    """One run of the benchmarks. `postgres` is empty when none of them needed a server."""

    quick: bool
    postgres: str = ""
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    python: str = field(default_factory=platform.python_version)
    sections: list[Section] = field(default_factory=list)

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def print(self, console: Console) -> None:
        """Write it as a table. A quick run judges nothing: its loads are too small."""
        server = f", Postgres {self.postgres}" if self.postgres else ""
        console.print(f"{self.date}, {self.cores} cores, Python {self.python}{server}{', quick' * self.quick}")
        for section in self.sections:
            console.print(self._table(section))

    def _table(self, section: Section) -> Table:
        title = f"{section.name}  ({section.seconds:.0f} s, load average {section.load:.1f})"
        table = Table(title=title, title_justify="left", title_style="bold", show_header=False, min_width=100)
        for justify in _COLUMNS:
            table.add_column(justify=justify)
        for figure in section.figures:
            verdict = "" if self.quick else _VERDICT[figure.met]
            table.add_row(figure.name, written(figure.value), figure.unit, _goal(figure), verdict)
        return table


def written(value: float) -> str:
    """A number with three digits that matter."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def _goal(figure: Figure) -> str:
    if figure.at_most is not None:
        return f"<= {figure.at_most:,g}"
    return "" if figure.at_least is None else f">= {figure.at_least:,g}"

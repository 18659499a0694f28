"""The command line of `make bench` and of `make bench-peers`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Ground
from tests.benchmarks.report import Report, Section

Benchmarks = Mapping[str, Callable[[Ground], Awaitable[list[Figure]]]]
"""Each by its name."""


async def measure(benchmarks: Benchmarks, names: Sequence[str], *, quick: bool) -> Report:
    """Run those with these names, one after the other."""
    report = Report(quick)
    told = Console(stderr=True)
    async with Ground(quick=quick) as ground:
        for name in names:
            began = time.monotonic()
            with told.status(f"measuring {name}"):
                figures = await benchmarks[name](ground)
            report.sections.append(Section(name, time.monotonic() - began, os.getloadavg()[0], figures))
        report.postgres = ground.version
    return report


def main(prog: str, description: str, benchmarks: Benchmarks) -> None:
    """Measure what the command line names, print the figures, and save them when it says where."""
    options = argparse.ArgumentParser(prog=prog, description=description)
    options.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(benchmarks)}; all when none is given")
    options.add_argument("--quick", action="store_true", help="small loads: to see that everything still works")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = options.parse_args()
    if unknown := set(chosen.names) - benchmarks.keys():
        options.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    report = asyncio.run(measure(benchmarks, chosen.names or list(benchmarks), quick=chosen.quick))
    report.print(Console(width=None if sys.stdout.isatty() else 120))
    if chosen.json:
        report.save(chosen.json)

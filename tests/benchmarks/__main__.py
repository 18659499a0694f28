"""`python -m tests.benchmarks`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks import decode, embed, latency, runs, wal
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Ground
from tests.benchmarks.report import Report, Section

BENCHMARKS: dict[str, Callable[[Ground], Awaitable[list[Figure]]]] = {
    "decode": decode.measure,
    "latency": latency.measure,
    "wal": wal.measure,
    "runs": runs.measure,
    "embed": embed.measure,
}


async def measure(names: Sequence[str], *, quick: bool) -> Report:
    """Run these benchmarks, one after the other."""
    report = Report(quick)
    told = Console(stderr=True)
    async with Ground(quick=quick) as ground:
        for name in names:
            began = time.monotonic()
            with told.status(f"measuring {name}"):
                figures = await BENCHMARKS[name](ground)
            report.sections.append(Section(name, time.monotonic() - began, os.getloadavg()[0], figures))
        report.postgres = ground.version
    return report


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure the service.")
    options.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all when none is given")
    options.add_argument("--quick", action="store_true", help="small loads: to see that everything still works")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = options.parse_args()
    if unknown := set(chosen.names) - BENCHMARKS.keys():
        options.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    report = asyncio.run(measure(chosen.names or list(BENCHMARKS), quick=chosen.quick))
    report.print(Console(width=None if sys.stdout.isatty() else 120))
    if chosen.json:
        report.save(chosen.json)


if __name__ == "__main__":
    main()

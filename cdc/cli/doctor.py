"""`cdc doctor`: what the service rests on, and what to do where it is not as it should be."""

from __future__ import annotations

import asyncio
import sys

import orjson

from cdc import config
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.cli.showing import show, table
from cdc.service.doctor import examine

_STYLES = {"ok": "", "warning": "yellow", "failed": "bold red"}


def doctor(*, json: bool = False, source: Source = DEFAULT) -> int:
    """Look at everything that the service rests on, and say what to do where it is not as it should be.

    Nothing is changed. Exit code 1 when something failed, 0 when there are warnings at most.

    Args:
        json: print one JSON object a line, for scripts.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    findings = asyncio.run(examine(settings, chosen(settings, source)))
    if json:
        for check, finding in findings.items():
            sys.stdout.write(orjson.dumps({"check": check, **finding._asdict()}).decode() + "\n")
    else:
        shown = table("check", "", "what there is", "what to do")
        for check, finding in findings.items():
            shown.add_row(check, *finding, style=_STYLES[finding.state])
        show(shown)
    return 1 if any(finding.state == "failed" for finding in findings.values()) else 0

"""`make bench`, or `python -m tests.benchmarks`."""

from __future__ import annotations

from tests.benchmarks import (
    apps,
    claims,
    decode,
    embed,
    hnsw,
    huge,
    idle,
    intake,
    latency,
    pages,
    runs,
    tls,
    wal,
    writers,
)
from tests.benchmarks.command import main

main(
    "python -m tests.benchmarks",
    "Measure the service.",
    {
        "decode": decode.measure,
        "latency": latency.measure,
        "wal": wal.measure,
        "tls": tls.measure,
        "huge": huge.measure,
        "runs": runs.measure,
        "claims": claims.measure,
        "idle": idle.measure,
        "intake": intake.measure,
        "apps": apps.measure,
        "embed": embed.measure,
        "writers": writers.measure,
        "pages": pages.measure,
        "hnsw": hnsw.measure,
    },
)

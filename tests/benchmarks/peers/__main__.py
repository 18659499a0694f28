"""`make bench-peers`, or `python -m tests.benchmarks.peers`."""

from __future__ import annotations

import sys
from functools import partial

from tests.benchmarks.command import Benchmarks, main
from tests.benchmarks.peers.compare import latencies, workload
from tests.benchmarks.peers.embedding import embedding, writing
from tests.benchmarks.peers.peer import DEBEZIUM, PEERS, PGAI, PYTHON, has_java, version
from tests.benchmarks.peers.wal import wal

if not PYTHON.exists():
    sys.exit(f"{PYTHON} is missing: `make bench-peers` makes it.")

has_debezium = has_java()
if not has_debezium:
    print("no java: Debezium is not measured", file=sys.stderr, flush=True)
reading_wal: Benchmarks = {"wal": wal} if has_debezium else {}

beside = [*PEERS, PGAI, *([DEBEZIUM] if has_debezium else [])]
print("beside", ", ".join(f"{peer.name} {version(peer)}" for peer in beside), flush=True)
main(
    "python -m tests.benchmarks.peers",
    "Measure the service beside other engines.",
    {
        "no-op": partial(workload, name="no-op"),
        "three-steps": partial(workload, name="three-steps"),
        "latency": latencies,
        "embedding": embedding,
        "writing": writing,
        **reading_wal,
    },
)

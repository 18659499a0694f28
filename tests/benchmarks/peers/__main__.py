"""`make bench-peers`, or `python -m tests.benchmarks.peers`."""

from __future__ import annotations

import sys
from functools import partial

from tests.benchmarks.command import main
from tests.benchmarks.peers.compare import latencies, workload
from tests.benchmarks.peers.peer import PEERS, PYTHON, version

if not PYTHON.exists():
    sys.exit(f"{PYTHON} is missing: `make bench-peers` makes it.")

print("beside", ", ".join(f"{peer.name} {version(peer)}" for peer in PEERS), flush=True)
main(
    "python -m tests.benchmarks.peers",
    "Measure the service beside other engines.",
    {
        "no-op": partial(workload, name="no-op"),
        "three-steps": partial(workload, name="three-steps"),
        "latency": latencies,
    },
)

"""What the service costs and how fast it is, measured on real parts: `make bench`, or

    python -m tests.benchmarks [decode latency wal runs claims idle embed writers hnsw] [--quick] [--json FILE]

Each benchmark is a module with one coroutine function `measure` that returns its figures.
"""

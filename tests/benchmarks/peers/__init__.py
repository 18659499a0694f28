"""Other engines on the same server: `make bench-peers`.

Each is a script that the Python of `.venv-peers` runs. It takes commands as JSON lines and answers each by one line
(`lines`); `peer` is the other end of that. The scripts import nothing of the service.
"""

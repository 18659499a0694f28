"""Claims runs, executes handlers, and records each result before the run goes on."""

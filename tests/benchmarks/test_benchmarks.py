"""That the benchmarks work; how fast anything is, only a machine of its own can say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson

from tests.benchmarks.ground import ROOT


def test_quick_figures(tmp_path: Path) -> None:
    saved = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks",
        "decode",
        "runs",
        "claims",
        "idle",
        "writers",
        "hnsw",
        "--quick",
        "--json",
        str(saved),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "three-steps" in done.stdout
    assert "two workers to one" in done.stdout

    report = orjson.loads(saved.read_bytes())
    assert report["quick"]
    assert report["postgres"].startswith("18")
    sections = {section["name"]: section["figures"] for section in report["sections"]}
    assert sections.keys() == {"decode", "runs", "claims", "idle", "writers", "hnsw"}
    for figures in sections.values():
        assert len(figures) >= 3
        # The system counts CPU in ticks of 10 ms, and a quick load may fall between two of them; so may a
        # second of idleness between two transactions.
        assert all(figure["value"] > 0 or _may_be_none(figure["name"]) for figure in figures), figures
        assert all(figure["value"] >= 0 for figure in figures), figures


def _may_be_none(name: str) -> bool:
    return "CPU" in name or name == "transactions"

"""That the benchmarks work; how fast anything is, only a machine of its own can say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.benchmarks.ground import ROOT

pytestmark = pytest.mark.timeout(600)


def test_quick_figures_of_the_engine(tmp_path: Path) -> None:
    out = _measured(tmp_path, "decode", "runs", "claims", "idle")
    assert "three-steps" in out
    assert "two workers to one" in out


def test_quick_figures_of_events_over_http(tmp_path: Path) -> None:
    out = _measured(tmp_path, "intake", "apps")
    assert "event to function, p50" in out
    assert "batches of 100, a run each" in out


def test_quick_figures_of_writers_and_of_indexes(tmp_path: Path) -> None:
    out = _measured(tmp_path, "writers", "hnsw")
    assert "insert, watched to unwatched" in out
    assert "stored with the HNSW index in place" in out


def _measured(folder: Path, *names: str) -> str:
    """What a quick run prints; its figures are looked at."""
    saved = folder / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks", *names, "--quick", "--json", str(saved)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = orjson.loads(saved.read_bytes())
    assert report["quick"]
    assert report["postgres"].startswith("18")
    sections = {section["name"]: section["figures"] for section in report["sections"]}
    assert sections.keys() == {*names}
    for figures in sections.values():
        assert len(figures) >= 3
        # The system counts CPU in ticks of 10 ms, and a quick load may fall between two of them; so may a
        # second of idleness between two transactions.
        assert all(figure["value"] > 0 or _may_be_none(figure["name"]) for figure in figures), figures
        assert all(figure["value"] >= 0 for figure in figures), figures
    return done.stdout


def _may_be_none(name: str) -> bool:
    return "CPU" in name or name == "transactions"

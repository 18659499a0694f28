"""That the peers' scripts fit what is installed for them and what they are asked; they run by hand only."""

from __future__ import annotations

import ast
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.benchmarks.peers.peer import PEERS, Peer

_REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
_ASKED = {
    "prepare": [],
    "enqueue": ["workload", "count"],
    "send": ["first", "count", "per_second"],
    "work": [],
    "begun": [],
}

each = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


def _tree(peer: Peer) -> ast.Module:
    spec = find_spec(peer.module)
    assert spec is not None, f"{peer.module} is not there"
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text())


@each
def test_script_answers_every_command(peer: Peer) -> None:
    (commands,) = [node for node in _tree(peer).body if isinstance(node, ast.ClassDef) and node.name == "Commands"]
    methods = [node for node in commands.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    offered = {method.name: [argument.arg for argument in method.args.args[1:]] for method in methods}
    assert offered == _ASKED


@each
def test_script_imports_only_what_is_installed_for_it(peer: Peer) -> None:
    imported = set()
    for node in ast.walk(_tree(peer)):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    bounds = dict(re.findall(r"^([a-z]+)(?:\[\w+\])?>=([\d.]+)(?:  #.*)?$", _REQUIREMENTS.read_text(), re.MULTILINE))
    assert peer.package in bounds
    assert imported - set(sys.stdlib_module_names) - {"tests"} <= bounds.keys()


@each
def test_peer_has_a_size_for_every_workload(peer: Peer) -> None:
    assert peer.sizes.keys() == {"no-op", "three-steps"}

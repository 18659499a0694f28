"""The examples can be used as they lie there, and the page that explains them knows them all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cdc import discovery

FUNCTIONS = {
    "auto_embedding": {"generate-document-embedding"},
    "rag": {"rag-workflow"},
    "multi_tenant_rag": {"ask-contacts", "enrich-contact"},
}
APPS = {"python_sdk", "typescript"}
"""Written with Inngest's SDKs: run by tests/sdk."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_folder_can_be_named_in_cdc_functions(name: str, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    try:
        assert discovery.discover([examples / name]).keys() == FUNCTIONS[name]
    finally:
        for module in {*sys.modules} - before:
            if module.startswith("cdc_functions_"):
                del sys.modules[module]


def test_every_example_is_explained(examples: Path) -> None:
    page = (examples.parent / "examples.md").read_text()
    folders = {path.name for path in examples.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders == FUNCTIONS.keys() | APPS
    for example in [*(f"{folder}/" for folder in folders), "execute_ai.py"]:
        assert f"(examples/{example.rstrip('/')})" in page

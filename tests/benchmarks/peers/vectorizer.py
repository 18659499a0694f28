"""pgai's vectorizer worker as its own command runs it, once, over rows that wait in its queue.

Its commands take what they need from the database; this script only makes the vectorizer. Plain text and OpenAI's API
need none of what its extra installs for documents and other providers. The files of its tokenizer come with it, but it
does not say so to tiktoken: without TIKTOKEN_CACHE_DIR it asks the network for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmarks.peers.lines import answer, commands

_URL = os.environ["DATABASE_URL"]
_COMMAND = [sys.executable, "-m", "pgai"]
_CREATE = """
select ai.create_vectorizer(
    %(table)s::regclass,
    loading => ai.loading_column('body'),
    embedding => ai.embedding_openai('text-embedding-3-small', 1536, base_url => %(provider)s),
    chunking => case when %(chunked)s then ai.chunking_recursive_character_text_splitter() else ai.chunking_none() end,
    processing => ai.processing_default(batch_size => %(batch)s, concurrency => %(at_once)s),
    destination => ai.destination_table(%(destination)s)
)
"""


class Commands:
    """Each method is a command."""

    def prepare(self) -> dict[str, Any]:
        """Make its schema."""
        subprocess.run([*_COMMAND, "install", "-d", _URL], check=True, stdout=sys.stderr)
        return {}

    def create(self, table: str, provider: str, chunked: bool, batch: int, at_once: int) -> dict[str, Any]:
        """Make a vectorizer for a table's column `body`; its vectors are in `<table>_vectors`."""
        told = {"table": table, "provider": provider, "chunked": chunked, "batch": batch, "at_once": at_once}
        with psycopg.connect(_URL) as conn:
            conn.execute(_CREATE, {**told, "destination": f"{table}_vectors"})
        return {}

    def work(self) -> dict[str, Any]:
        """Start the worker, which ends when its queue is empty."""
        settings = {"OPENAI_API_KEY": "any", "TIKTOKEN_CACHE_DIR": _tokenizer()}
        worker = [*_COMMAND, "vectorizer", "worker", "--once", "--log-level=WARN", "-d", _URL]
        self._worker = subprocess.Popen(worker, env={**os.environ, **settings}, stdout=sys.stderr)
        return {}

    def worked(self) -> dict[str, Any]:
        """Answered when the worker has ended: whether it was content."""
        return {"content": self._worker.wait() == 0}


def _tokenizer() -> str:
    spec = find_spec("pgai")
    assert spec is not None, "it is installed"
    assert spec.origin is not None, "it is a package"
    return str(Path(spec.origin).parent / "vectorizer" / "tiktoken_cache")


def main() -> None:
    offered = Commands()
    for command in commands():
        answer(**getattr(offered, command.pop("do"))(**command))


if __name__ == "__main__":
    main()

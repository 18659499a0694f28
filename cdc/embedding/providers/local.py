"""Models that run in this process: a thread each, loaded at the first call, from files whose bytes are pinned."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from cdc.ai.errors import ProviderRejected
from cdc.embedding.providers import Answer, Vector

Encode = Callable[[Sequence[str]], Sequence[Vector]]
"""A loaded model: unit vectors of texts, in order. Blocks."""


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A data file inside an installed package, and the only content that is accepted.

    The package is never imported: it carries data for us, and its code has no business in this process.
    """

    package: str
    path: str
    sha256: str
    extra: str

    def locate(self) -> Path:
        """Where the file should be.

        Raises:
            ProviderRejected: the package is not installed.
        """
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ProviderRejected(f"Package {self.package} is not installed.", hint=f"Install it: cdc[{self.extra}].")
        return Path(next(iter(spec.submodule_search_locations))) / self.path

    def read(self) -> bytes:
        """The file's bytes, once they have proved to be the pinned ones.

        Raises:
            ProviderRejected: the package or the file is missing, or the file differs from the pinned one.
        """
        try:
            content = self.locate().read_bytes()
        except OSError as error:
            raise self._refusal("cannot be read") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise self._refusal("is not the file that cdc was tested with, and was not loaded")
        return content

    def _refusal(self, what: str) -> ProviderRejected:
        return ProviderRejected(f"{self.path} of {self.package} {what}.", hint=f"Install again: cdc[{self.extra}].")


class InProcess:
    """A model of this process behind the interface of a remote one.

    One request at a time: the model uses all cores by itself. `max_inputs` bounds how long a single query waits
    behind a backfill.
    """

    max_tokens = 1_000_000
    concurrency = max_concurrency = 1
    tells_queries = False

    def __init__(self, load: Callable[[], Encode], *, max_inputs: int) -> None:
        self.max_inputs = max_inputs
        self._load = load
        self._loading = Lock()
        self._encode: Encode | None = None

    async def embed(self, texts: Sequence[str], *, query: bool = False) -> Answer:
        """One unit vector per text, in order; the first call loads the model.

        Raises:
            InputRefused: a text has nothing in it that the model knows.
            ProviderRejected: a file of the model is missing or differs from the pinned one.
        """
        return Answer(await asyncio.to_thread(self._embed, texts))

    async def close(self) -> None:
        """Let go of the model; a call still running keeps it until it returns."""
        self._encode = None

    def _embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        with self._loading:
            encode = self._encode = self._encode or self._load()
        return encode(texts)

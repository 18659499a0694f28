from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ProtocolError
from cdc.wal import frames
from tests.unit.wal.wire import POSTGRES_EPOCH_SECONDS, integer

LSNS = st.integers(0, 2**64 - 1)
TIMES = st.integers(0, 2**60)


@given(LSNS, LSNS, TIMES, st.binary())
def test_xlog_data_gives_back_its_wal_end_and_its_payload(start: int, end: int, sent: int, payload: bytes) -> None:
    frame = b"w" + integer(start, 8) + integer(end, 8) + integer(sent, 8) + payload
    assert frames.parse(frame) == frames.parse(memoryview(frame)) == (end, payload, False)


def test_a_payload_outlives_the_buffer_it_came_in() -> None:
    buffer = bytearray(b"w" + bytes(24) + b"row")
    _, payload, _ = frames.parse(memoryview(buffer))
    buffer[25:] = b"xxx"
    assert payload == b"row"


@given(LSNS, TIMES, st.booleans())
def test_a_keepalive_says_how_far_the_server_is_and_whether_it_wants_an_answer(
    end: int, sent: int, reply: bool
) -> None:
    frame = b"k" + integer(end, 8) + integer(sent, 8) + bytes([reply])
    assert frames.parse(frame) == (end, None, reply)


@pytest.mark.parametrize(
    "frame", [b"", b"w", b"w" + bytes(23), b"k", b"k" + bytes(16), b"k" + bytes(18), b"r" + bytes(33), b"x" + bytes(40)]
)
def test_anything_else_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.parse(frame)


def test_a_status_update_reports_received_as_written_and_confirmed_as_flushed_and_applied() -> None:
    now = (POSTGRES_EPOCH_SECONDS + 1) * 1_000_000
    assert frames.status(0x16B3748, 0x16B3000, now) == (
        b"r" + integer(0x16B3748, 8) + integer(0x16B3000, 8) + integer(0x16B3000, 8) + integer(1_000_000, 8) + b"\0"
    )

"""What the listener reads rests on what the server sends: the tests of that run on every version."""

from __future__ import annotations

import pytest

from cdc.wal import connection, stream
from tests.servers import EVERY_VERSION

ON_EVERY_VERSION = {
    "test_connection",
    "test_listener",
    "test_listener_attach",
    "test_messages",
    "test_slot",
    "test_stream",
    "test_stream_life",
    "test_tables",
    "test_types",
    "test_values",
}
"""The rest is about what becomes of changes once they are read, and runs on 18 and 15."""


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In these modules, any server is every one of them, unless a test names those that have what it needs."""
    module = metafunc.module.__name__.rpartition(".")[2]
    named = any(marker.args[0] == "any_server" for marker in metafunc.definition.iter_markers("parametrize"))
    if module in ON_EVERY_VERSION and "any_server" in metafunc.fixturenames and not named:
        metafunc.definition.add_marker(pytest.mark.parametrize("any_server", EVERY_VERSION, indirect=True))


@pytest.fixture(autouse=True)
def _closing_waits_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds are enough for a service; here the next reader comes at once, however slow the machine is."""
    monkeypatch.setattr(stream, "_CLOSE_WITHIN", 60.0)


@pytest.fixture(autouse=True)
def _nobody_is_given_up_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a while is not to end a stream, nor to have the server ask for a word."""
    monkeypatch.setattr(connection, "_NOTICED_WITHIN", "5min")

"""Traces are set up by OpenTelemetry's variables, cost nothing without them, and stop nothing when they are wrong."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Mapping
from textwrap import dedent

import pytest
import structlog
from opentelemetry.trace import TraceFlags

from cdc import tracing
from cdc.service.tracing import start

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

TRACED = """
    import asyncio, logging, os, sys, threading, time
    from cdc import telemetry, tracing
    from cdc.service.tracing import start

    class Told(logging.Handler):
        came = threading.Event()

        def emit(self, record):
            self.came.set()

    async def main():
        telemetry.configure("info", "json")
        logging.getLogger().addHandler(Told())
        traces = start()
        own = tracing.of_event(bytes(16), None)
        for number in range(1000):
            tracing.begin("a span", own, None, attributes={}).end()
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
            Told.came.wait(30)
        time.sleep(0.2)
        began = time.monotonic()
        await traces.close(float(sys.argv[1]))
        assert not tracing.on()
        print(time.monotonic() - began, file=sys.stderr)

    asyncio.run(main())
"""


async def traced(*, within: float, **environ: str) -> tuple[str, list[str]]:
    """What a process of its own writes, as OpenTelemetry is set up once in each: to stdout, and the lines to stderr.
    It has so many seconds for its last spans.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", dedent(TRACED), str(within)),
        env={name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode(), err.decode().splitlines()


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"OTEL_SERVICE_NAME": "mine", "OTEL_TRACES_SAMPLER": "always_on"}, id="nowhere to send to"),
        pytest.param({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, id="disabled"),
        pytest.param({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, id="no exporter"),
    ],
)
def test_nothing_is_traced_unless_it_is_asked_for(environ: Mapping[str, str]) -> None:
    with structlog.testing.capture_logs() as told:
        assert start(environ) is None
    assert not tracing.on()
    assert told == []


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_what_cannot_be_is_told_and_stops_nothing(environ: Mapping[str, str], reason: str) -> None:
    with structlog.testing.capture_logs() as told:
        assert start(environ) is None
    (line,) = told
    assert line["event"] == "traces are off"
    assert reason in line["reason"]


def test_without_its_packages_it_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "cdc.service.tracing.find_spec", lambda name: None if name.startswith("opentelemetry.exporter") else found(name)
    )
    with structlog.testing.capture_logs() as told:
        assert start(ENDPOINT) is None
    assert "pip install 'cdc[otel]'" in told[0]["reason"]


async def test_a_collector_that_is_away_delays_nothing_and_is_told_of_seldom() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        _, (*told, took) = await traced(within=0.3, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="10")
    assert float(took) < 5.0
    (line,) = told
    assert "retrying" in json.loads(line)["event"]


async def test_spans_are_shown_on_the_console_and_a_trace_is_kept_or_left_out_everywhere_alike() -> None:
    console = {"OTEL_TRACES_EXPORTER": "console", "OTEL_TRACES_SAMPLER": "traceidratio"}
    kept, _ = await traced(within=60, **console, OTEL_TRACES_SAMPLER_ARG="1")
    spans = [json.loads(line) for line in kept.splitlines()]
    assert len(spans) == 1000
    assert {span["context"]["span_id"] for span in spans} == {f"0x{tracing.of_event(bytes(16), None).span_id:016x}"}
    out, _ = await traced(within=60, **console, OTEL_TRACES_SAMPLER_ARG="0")
    assert out == ""


def test_a_traceparent_is_written_as_it_was_read() -> None:
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sender = tracing.sender(given)
    assert sender is not None
    assert tracing.traceparent(sender) == given
    own = tracing.of_event(bytes(16), given)
    assert (own.trace_id, own.trace_flags) == (sender.trace_id, TraceFlags.SAMPLED)
    assert own.span_id != sender.span_id

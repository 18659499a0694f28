"""An OpenTelemetry collector on loopback: OTLP over HTTP, in a thread of its own. It keeps every span that comes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent


class Span(NamedTuple):
    """A span as it came. Ids are hexadecimal, an empty `parent` is none; times are nanoseconds since 1970."""

    name: str
    trace_id: str
    id: str
    parent: str
    kind: str
    began: int
    ended: int
    attributes: dict[str, Any]
    is_error: bool
    links: list[tuple[str, str]]
    resource: dict[str, Any]


class Collector:
    """For the length of a `with` block; `url` is what OTEL_EXPORTER_OTLP_ENDPOINT wants."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                collector.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def named(self, name: str) -> list[Span]:
        """The spans of this name, those that began first first."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.began)


def _spans(request: ExportTraceServiceRequest) -> Iterable[Span]:
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for sent in of_scope.spans:
                yield Span(
                    sent.name,
                    sent.trace_id.hex(),
                    sent.span_id.hex(),
                    sent.parent_span_id.hex(),
                    Sent.SpanKind.Name(sent.kind).removeprefix("SPAN_KIND_").lower(),
                    sent.start_time_unix_nano,
                    sent.end_time_unix_nano,
                    _values(sent.attributes),
                    sent.status.code == sent.status.STATUS_CODE_ERROR,
                    [(link.trace_id.hex(), link.span_id.hex()) for link in sent.links],
                    resource,
                )


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    values = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        values[attribute.key] = getattr(attribute.value, kind) if kind else None
    return values

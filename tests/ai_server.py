"""A loopback server that speaks the wire formats of OpenAI, Anthropic and Gemini. No model is behind it.

In a test:      async with AIServer() as server: ... server.url, server.root ...
By itself:      python -m tests.ai_server --port 8009 --latency 0.1      (counters at GET /stats)

It answers what it was told to (`say_next`, `answers`), else it repeats the last thing it was asked; where JSON of a
schema is wanted, an object that fits it. POST /v1/embeddings is that of tests/openai_server.py, on the same port.

    OPENAI_BASE_URL=<url>         /v1/chat/completions, /v1/responses, /v1/embeddings
    AZURE_OPENAI_ENDPOINT=<root>  /openai/deployments/<model>/chat/completions
    ANTHROPIC_BASE_URL=<root>     /v1/messages
    GEMINI_BASE_URL=<root>        /v1/models/<model>:generateContent, :streamGenerateContent (v1beta, too)
"""

from __future__ import annotations

import argparse
import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests import ai_shapes as shapes
from tests.ai_shapes import JSON, Event, Said
from tests.openai_server import OpenAIServer

Answers = Callable[[str], str]


class _Format(NamedTuple):
    """One API: how it is asked, and how it answers."""

    question: Callable[[JSON], str]
    schema: Callable[[JSON], JSON | None]
    key: str
    whole: Callable[[Said], JSON]
    events: Callable[[Said, JSON], Iterable[Event]]
    error: shapes.Errors
    done: bytes = b""


class Asked(NamedTuple):
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: JSON


class AIServer(OpenAIServer):
    """`latency` is before an answer, `pause` before each event of a streamed one, in seconds.

    `questions` has every request, `answers` says what to answer to a text that nothing was scripted for.
    """

    def __init__(self, *, pause: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.pause = pause
        self.answers: Answers = _echo
        self.app.routes.extend(
            Route(path, self._route(form), methods=["POST"])
            for path, form in (
                ("/v1/chat/completions", _CHAT),
                ("/openai/deployments/{deployment}/chat/completions", _AZURE),
                ("/v1/responses", _RESPONSES),
                ("/v1/messages", _MESSAGES),
                ("/{version}/models/{call:path}", _CONTENT),
            )
        )

    @property
    def root(self) -> str:
        """The base URL as ANTHROPIC_BASE_URL and GEMINI_BASE_URL want it."""
        return self.url.removesuffix("/v1")

    def reset(self) -> None:
        """Forget what was counted and what was scripted."""
        super().reset()
        self.questions: list[Asked] = []
        self._next: deque[Callable[[_Format, JSON], Response | Said]] = deque()

    def say_next(self, text: str, times: int = 1, **usage: Any) -> None:
        """Answer the next questions with this text; see `Said` for what else can be given."""
        self._next.extend(lambda form, body: _said(form, body, text, **usage) for _ in range(times))

    def refuse_next(
        self,
        status: int,
        times: int = 1,
        *,
        headers: Mapping[str, str] | None = None,
        words: str = "The server had an error.",
        **more: Any,
    ) -> None:
        """Answer the next questions with this status, and the error as the format writes it."""
        for _ in range(times):
            self._next.append(lambda form, _: _json(form.error(status, words, **more), status, headers))

    def send_next(self, body: bytes, *, media_type: str = "application/json") -> None:
        """Answer the next question with 200 and these bytes."""
        self._next.append(lambda *_: Response(body, media_type=media_type))

    def break_next(self, *, after: int = 0) -> None:
        """Close the connection in the middle of the next answer, of a streamed one after so many events."""
        self._next.append(lambda form, body: _broken(form, body, after, self.answers))

    def end_next(self, *, after: int, error: JSON | None = None) -> None:
        """End the next streamed answer orderly but too early, after so many events; or with an `error` event."""
        self._next.append(lambda form, body: _ended(form, body, after, error, self.answers))

    def _route(self, form: _Format) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            await request.body()
            latency = self.latency  # who sees it busy may set another for those to come
            self.busy += 1
            self.peak = max(self.peak, self.busy)
            try:
                return await self._answer_to(request, form, latency)
            finally:
                self.busy -= 1

        return answer

    async def _answer_to(self, request: Request, form: _Format, latency: float) -> Response:
        body = orjson.loads(await request.body())
        call = request.path_params.get("call")
        if call:
            model, _, verb = call.partition(":")
            body |= {"model": model, "stream": verb == "streamGenerateContent"}
        self.requests += 1
        self.questions.append(Asked(request.url.path, request.headers, body))
        # Taken before the pause: who asks first is answered first.
        scripted = self._next.popleft() if self._next else None
        await self._pause(latency)
        if self._key is not None and request.headers.get(form.key, "").removeprefix("Bearer ") != self._key:
            return _json(form.error(401, "Incorrect API key provided."), 401)
        answer = scripted(form, body) if scripted else _said(form, body, _default(form, body, self.answers))
        if isinstance(answer, Response):
            return answer
        if body.get("stream"):
            return StreamingResponse(
                _lines(form, form.events(answer, body), self.pause), media_type="text/event-stream"
            )
        return _json(form.whole(answer))


async def _lines(form: _Format, events: Iterable[Event], pause: float) -> AsyncIterator[bytes]:
    for event in events:
        await asyncio.sleep(pause)
        yield _line(event)
    yield form.done


def _line(event: Event) -> bytes:
    name = f"event: {event.name}\n".encode() if event.name else b""
    return name + b"data: " + orjson.dumps(event.data) + b"\n\n"


class _Broken(Response):
    """Promises more than it sends, so that the server closes the connection."""

    def __init__(self, sent: bytes, media_type: str) -> None:
        super().__init__(sent, media_type=media_type)
        self.sent = sent
        self.kind = media_type.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self.kind), (b"content-length", str(len(self.sent) + 100).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.sent, "more_body": True})


def _broken(form: _Format, body: JSON, after: int, answers: Answers) -> Response:
    said = _said(form, body, _default(form, body, answers))
    if not body.get("stream"):
        return _Broken(orjson.dumps(form.whole(said))[:20], "application/json")
    return _Broken(_first(form, body, said, after), "text/event-stream")


def _ended(form: _Format, body: JSON, after: int, error: JSON | None, answers: Answers) -> Response:
    said = _said(form, body, _default(form, body, answers))
    last = _line(Event(error, "error" if form is _MESSAGES else None)) if error else b""
    return Response(_first(form, body, said, after) + last, media_type="text/event-stream")


def _first(form: _Format, body: JSON, said: Said, count: int) -> bytes:
    return b"".join(_line(event) for event in list(form.events(said, body))[:count])


def _said(form: _Format, body: JSON, text: str, **usage: Any) -> Said:
    counted = {"input": _tokens(form.question(body)), "output": _tokens(text) + usage.get("reasoning", 0)}
    return Said(**({"text": text, "model": body["model"]} | counted | usage))


def _tokens(text: str) -> int:
    return len(text) // 4 + 1


def _echo(question: str) -> str:
    return f"You said: {question}"


def _default(form: _Format, body: JSON, answers: Answers) -> str:
    schema = form.schema(body)
    if schema is None:
        return answers(form.question(body))
    return orjson.dumps(_fitting(schema, schema.get("$defs", {}))).decode()


_FITTING = {"integer": 1, "number": 1, "boolean": True, "null": None}


def _fitting(schema: JSON, definitions: JSON) -> Any:
    """A value that a JSON schema allows."""
    if "$ref" in schema:
        return _fitting(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for options in ("anyOf", "oneOf", "allOf"):
        if options in schema:
            return _fitting(schema[options][0], definitions)
    kind = schema.get("type", "").lower()
    if kind == "object":
        return {name: _fitting(inner, definitions) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [_fitting(schema.get("items", {}), definitions)]
    return _FITTING.get(kind, "text")


def _json(content: JSON, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _either(options: JSON, *names: str) -> JSON | None:
    return next((options[name] for name in names if name in options), None)


def _last(turns: Any, inside: str) -> str:
    """The text of the last turn: a string, or the texts of its parts."""
    content = turns if isinstance(turns, str) else turns[-1][inside]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


_CHAT = _Format(
    question=lambda body: _last(body["messages"], "content"),
    schema=lambda body: body.get("response_format", {}).get("json_schema", {}).get("schema"),
    key="authorization",
    whole=shapes.chat,
    events=lambda said, body: shapes.chat_events(
        said, usage=bool((body.get("stream_options") or {}).get("include_usage"))
    ),
    error=shapes.openai_error,
    done=b"data: [DONE]\n\n",
)
_AZURE = _CHAT._replace(key="api-key")
_RESPONSES = _Format(
    question=lambda body: _last(body["input"], "content"),
    schema=lambda body: body.get("text", {}).get("format", {}).get("schema"),
    key="authorization",
    whole=shapes.response,
    events=lambda said, _: shapes.response_events(said),
    error=shapes.openai_error,
)
_MESSAGES = _Format(
    question=lambda body: _last(body["messages"], "content"),
    schema=lambda body: body.get("output_config", {}).get("format", {}).get("schema"),
    key="authorization",
    whole=shapes.message,
    events=lambda said, _: shapes.message_events(said),
    error=shapes.anthropic_error,
)
_CONTENT = _Format(
    question=lambda body: _last(body["contents"], "parts"),
    schema=lambda body: _either(body.get("generationConfig", {}), "responseJsonSchema", "responseSchema"),
    key="x-goog-api-key",
    whole=shapes.content,
    events=lambda said, _: shapes.content_events(said),
    error=shapes.gemini_error,
)


def main() -> None:
    """Serve until interrupted."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=8009)
    options.add_argument("--latency", type=float, default=0.1, help="seconds before an answer")
    options.add_argument("--pause", type=float, default=0.02, help="seconds before each event of a streamed one")
    options.add_argument("--dimensions", type=int, default=1536, help="of an embedding")
    chosen = options.parse_args()
    server = AIServer(latency=chosen.latency, pause=chosen.pause, dimensions=chosen.dimensions, port=chosen.port)
    print(server.url, flush=True)
    server.serve()


if __name__ == "__main__":
    main()

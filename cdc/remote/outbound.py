"""What is sent for an app's `step.ai.infer` and `step.fetch`, and what their answers are to it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from yarl import URL

from cdc.remote.reading import Unreadable, parsed, retry_after
from cdc.store.json import encoded

if TYPE_CHECKING:
    from cdc.remote.pool import Exchanged  # brings aiohttp along, which a service without apps does not need

_DEFAULTS = {
    "openai-chat": "https://api.openai.com/v1/chat/completions",
    "openai-responses": "https://api.openai.com/v1/responses",
    "anthropic": "https://api.anthropic.com/v1/messages",
}
_KEYS = {"anthropic": "X-Api-Key", "gemini": "X-Goog-Api-Key", "azure-openai": "Api-Key"}
"""Where a key goes; any other format has it as a Bearer."""

_PROVIDERS = {"anthropic": "anthropic", "gemini": "gemini", "azure-openai": "azure"}
_HOSTS = {"api.deepseek.com": "deepseek", "api.x.ai": "x-ai", "openrouter.ai": "openrouter", "api.groq.com": "groq"}
_GEMINI_MODEL = re.compile(r"/models/([^/:]+)")

_OURS = re.compile(
    r"(?i)host|content-length|connection|keep-alive|te|trailer|transfer-encoding|upgrade|proxy-.*|accept-encoding"
)
SECRETS = re.compile(r"(?i)authorization|cookie|.*api-key|.*token")
"""Headers that another server than the one that was meant does not get."""

_SECRET = re.compile(r"(?i)key|token|secret|sign|password|auth|credential")
_HIDDEN = "..."
_WORD = re.compile(r"[\w.-]{1,64}")
_WITHOUT_BODY = {204, 205, 304}
_CHARSET = re.compile(r"(?i)charset=\"?([\w.-]+)")


class Refused(Exception):
    """A model's provider did not answer, or not as it should."""

    def __init__(self, message: str, delay: float | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.delay = delay
        self.detail = detail


class Question(NamedTuple):
    """What is asked of a model."""

    url: str
    headers: dict[str, str]
    body: bytes
    provider: str
    model: str
    streamed: bool


def question(opts: Mapping[str, Any]) -> Question:
    """What the opts of an AIGateway ask."""
    form = str(opts.get("format") or "openai-chat")
    url = str(opts.get("url") or _DEFAULTS.get(form, ""))
    body = opts.get("body")
    body = body if isinstance(body, Mapping) else {}
    headers = {"Content-Type": "application/json"} | headers_of(opts.get("headers"))
    key = opts.get("auth_key")
    if isinstance(key, str) and key:
        place = _KEYS.get(form, "Authorization")
        headers = {place: key if form in _KEYS else f"Bearer {key}"} | headers
    if form == "anthropic":
        headers = {"Anthropic-Version": "2023-06-01"} | headers
    provider = _PROVIDERS.get(form) or _HOSTS.get(host_of(url), "openai")
    found = _GEMINI_MODEL.search(url)
    model = str(body.get("model") or (found[1] if found else "unknown")).replace("\0", "")[:200]
    return Question(url, headers, encoded(body), provider, model, body.get("stream") is True)


def answer(host: str, found: Exchanged, now: float) -> Any:
    """The JSON that a model answered with.

    Raises:
        Refused: it is no answer.
    """
    try:
        data = parsed(found.body)
    except Unreadable:
        data = None
    if not 200 <= found.status <= 299:
        wait = retry_after(found.headers.get("retry-after"), now)
        raise Refused(f"{host} answered with HTTP {found.status}{_kind(data)}.", wait, _text(found)[:2000])
    if data is None:
        raise Refused(f"{host} answered with something that is no JSON; was a stream asked for?")
    return data


def _kind(data: Any) -> str:
    """What kind of error a provider tells of, in the one word that has nothing of what was asked."""
    error = data.get("error") if isinstance(data, Mapping) else None
    if isinstance(error, Mapping):
        for name in ("code", "type", "status"):
            if isinstance(error.get(name), str) and _WORD.fullmatch(error[name]):
                return f" ({error[name]})"
    return ""


def headers_of(given: Any) -> dict[str, str]:
    """An app's headers in the case in which they are commonly written, without those that are the connection's."""
    if not isinstance(given, Mapping):
        return {}
    return {
        str(name).title(): str(value)
        for name, value in given.items()
        if value is not None and not _OURS.fullmatch(str(name))
    }


def body_of(given: Any) -> bytes | None:
    """An app's body as bytes: a text, or JSON."""
    if given is None or isinstance(given, str):
        return given.encode(errors="replace") if given is not None else None
    return encoded(given)


def fetched(url: str, found: Exchanged) -> dict[str, Any]:
    """An answer as an SDK makes a `Response` of it."""
    headers: dict[str, str] = {}
    packed = "content-encoding" in found.headers
    for name, value in found.headers.items():
        shown = name.title()
        if not (packed and shown in ("Content-Encoding", "Content-Length")):
            headers[shown] = f"{headers[shown]},{value}" if shown in headers else value
    # A Response of a browser takes no body with these, not even an empty one.
    body = None if found.status in _WITHOUT_BODY else _text(found)
    return {"url": url, "status_code": found.status, "headers": headers, "body": body}


def _text(found: Exchanged) -> str:
    named = _CHARSET.search(found.headers.get("content-type", ""))
    try:
        return found.body.decode(named[1] if named else "utf-8", errors="replace")
    except LookupError:
        return found.body.decode(errors="replace")


def host_of(url: str) -> str:
    """The host of a URL, for messages: the rest may have a key in it."""
    try:
        return URL(url).host or "The server"
    except ValueError:
        return "The server"


def shown(url: str) -> str:
    """A URL as it may be kept and shown: without what is a key by its name, as Gemini's have one."""
    try:
        parts = URL(url)
    except ValueError:
        return ""
    kept = [(name, _HIDDEN if _SECRET.search(name) else value) for name, value in parts.query.items()]
    return str(parts.with_user(None).with_query(kept))


def origin_of(url: str) -> tuple[Any, ...]:
    """What has to be the same for a header that authorises."""
    try:
        parts = URL(url)
    except ValueError:
        return ()
    return parts.scheme, parts.host, parts.port

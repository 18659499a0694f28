"""What every answer tells browsers: to run nothing but our own files, to show it in no frame, to keep none of it."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_ALWAYS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), clipboard-read=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
]
_UNKEPT = [*_ALWAYS, (b"cache-control", b"no-store")]
_ASKED_AGAIN = [*_ALWAYS, (b"cache-control", b"no-cache")]
_KIND = b"x-inngest-server-kind"
_OURS = {_KIND, *(name for name, _ in _UNKEPT)}
_ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")


class Safe:
    """Adds these headers, and the `kind` of server that SDKs take it for: `cloud` asks for their signing key."""

    def __init__(self, app: ASGIApp, kind: str = "dev") -> None:
        self._app = app
        told = (_KIND, kind.encode())
        self._unkept, self._asked_again = [*_UNKEPT, told], [*_ASKED_AGAIN, told]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = self._asked_again if scope["path"].startswith("/static/") else self._unkept
        if scope["scheme"] == "https":
            added = [*added, _ONLY_HTTPS]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = [each for each in message.get("headers", ()) if each[0].lower() not in _OURS]
                message["headers"] = [*said, *added]
            await send(message)

        await self._app(scope, receive, with_headers)

"""To whom the service is served, and what it asks of them: settings checked before anything is listened to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import structlog
from pydantic import SecretStr

from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.remote import addresses, signing
from cdc.remote.registering import Grounds, stripped
from cdc.web.guard.terms import Terms

log = structlog.get_logger(__name__)

LEAST = 16
"""Characters of a token that others can try to guess."""


def check(settings: Settings, *, to_read: bool = True) -> None:
    """Whether this may be served where it is to be; where there is nothing `to_read`, only how the service is.

    Raises:
        ConfigurationError: others would be let in unasked, or what is asked of them cannot be used.
    """
    addresses.allowed(settings.app_hosts)
    urls(settings)
    for name, token in _tokens(settings):
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError(
                f"{name} has characters that no HTTP header carries.", hint="Take letters, digits and punctuation."
            )
    for name, key in _signing_keys(settings):
        if not signing.is_key(key):
            raise ConfigurationError(
                f"{name} is no signing key.", hint="It is hexadecimal digits, an even number, after signkey-prod-."
            )
    if _for_itself(settings) or not to_read:
        return
    if settings.open:
        if not _said(settings.dashboard_token) or not settings.event_keys:
            log.warning("others are served without credentials, because CDC_OPEN says so", host=settings.host)
        return
    _check_for_others(settings)


def terms(settings: Settings) -> Terms:
    """What the web asks for. Served to others it has any name: it asks for credentials, or only tells how it is."""
    return Terms(
        token=_said(settings.dashboard_token),
        metrics_token=_said(settings.metrics_token),
        reading=[bearer for _, key in _signing_keys(settings) for bearer in signing.bearers(key)],
        anywhere=settings.open or not _for_itself(settings),
        closed=not settings.open and not _for_itself(settings),
    )


def grounds(settings: Settings) -> Grounds:
    """What is known of apps before any of them said anything. A service that others reach calls no app that it is not
    told of; one that has no key and is there for this machine calls any on it, until CDC_APP_HOSTS says which.
    """
    keys = [key for _, key in _signing_keys(settings)]
    development = not keys and _for_itself(settings)
    named = [addresses.entry_of(url) for url in urls(settings)]
    hosts = addresses.allowed(settings.app_hosts)
    if hosts or not development:
        hosts = (*hosts, *named)
    elif not all(map(addresses.is_here, named)):
        hosts = (*addresses.allowed("localhost, 127.0.0.1, [::1]"), *named)
    return Grounds(hosts, keys, development=development)


def urls(settings: Settings) -> list[str]:
    """The URLs of CDC_APPS.

    Raises:
        ConfigurationError: one is none.
    """
    given = [each.strip() for each in settings.apps.split(",") if each.strip()]
    try:
        found = list(map(stripped, given))
        for url in found:
            addresses.entry_of(url)
    except (ValueError, addresses.NotAllowed) as unusable:
        raise ConfigurationError(
            f"CDC_APPS has an entry that cannot be an app: {str(unusable).rstrip('.')}.",
            hint="Write the whole URL of each app's handler, such as http://localhost:3000/api/inngest.",
        ) from None
    return found


def _for_itself(settings: Settings) -> bool:
    """Whether nobody but this machine reaches it."""
    return ipaddress.ip_address(settings.host).is_loopback


def _check_for_others(settings: Settings) -> None:
    missing = [] if _said(settings.dashboard_token) else ["CDC_DASHBOARD_TOKEN"]
    missing += [] if settings.event_keys else ["CDC_EVENT_KEY"]
    if missing:
        raise ConfigurationError(
            f"CDC_HOST is {settings.host}, which others can reach, and {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} not set: they could read all rows, or start functions.",
            hint=f"Set {' and '.join(missing)}, made with 'openssl rand -hex 24', say; or CDC_OPEN=true where "
            "something else keeps others out.",
        )
    keys = (("CDC_EVENT_KEY", key) for key in settings.event_keys)
    for name, secret in (*_tokens(settings), *keys, *_signing_keys(settings)):
        if len(secret) < LEAST:
            raise ConfigurationError(
                f"{name} is too short for CDC_HOST={settings.host}: others could guess it.",
                hint=f"Take {LEAST} characters or more: 'openssl rand -hex 24' makes some.",
            )


def _tokens(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, secret in (
        ("CDC_DASHBOARD_TOKEN", settings.dashboard_token),
        ("CDC_METRICS_TOKEN", settings.metrics_token),
    ):
        if said := _said(secret):
            yield name, said


def _signing_keys(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, secret in (
        ("CDC_SIGNING_KEY", settings.signing_key),
        ("CDC_SIGNING_KEY_FALLBACK", settings.signing_key_fallback),
    ):
        if said := _said(secret):
            yield name, said


def _said(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value().strip() or None if secret else None

"""Which addresses of apps may be called: a URL must not make the service ask what only it can reach (SSRF).

`CDC_APP_HOSTS` says which. Whoever calls an app connects to the `address` that was checked here, not to what its name
is resolved to a moment later, and follows no redirect without asking here again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from cdc.errors import ConfigurationError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name.

Raises:
    OSError: there are none.
"""

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_METADATA = {
    ipaddress.ip_address("fd00:ec2::254"),  # AWS
    ipaddress.ip_address("100.100.100.200"),  # Alibaba
    ipaddress.ip_address("168.63.129.16"),  # Azure
}
"""Where clouds hand out credentials, besides 169.254.0.0/16."""

_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is routed in the open."""

_WRAPPED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses by NAT64."""


class Target(NamedTuple):
    """Where an app is: the host for the header and the certificate, the address to connect to, and all that it has."""

    url: str
    host: str
    port: int
    address: str
    addresses: tuple[str, ...] = ()


class NotAllowed(Exception):
    """A URL may not be called; says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the hosts that are allowed: itself or, with `below`, all names below it; any port without one."""

    host: str
    port: int | None = None
    below: bool = False

    def has(self, host: str, port: int) -> bool:
        """Whether it allows this."""
        named = host.endswith(f".{self.host}") if self.below else host == self.host
        return named and self.port in (None, port)


def allowed(text: str) -> tuple[Entry, ...]:
    """The entries of `CDC_APP_HOSTS`: `app.example.com, *.internal:8080, 10.0.0.7, [::1]:3000`.

    Raises:
        ConfigurationError: one is none.
    """
    return tuple(_entry(each) for each in re.split(r"[,\s]+", text.strip()) if each)


def entry_of(url: str) -> Entry:
    """The entry that allows a URL, and nothing at another port.

    Raises:
        NotAllowed: it is none of an app.
    """
    return Entry(*_parts(url))


def is_here(entry: Entry) -> bool:
    """Whether an entry names this machine as such."""
    literal = _literal(entry.host)
    return entry.host == "localhost" or (literal is not None and literal.is_loopback)


def _entry(text: str) -> Entry:
    below = text.startswith("*.")
    try:
        parts = urlsplit(f"//{text[2:] if below else text}")
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or parts.path or parts.query or parts.username is not None or (below and _literal(host)):
        raise ConfigurationError(
            f"CDC_APP_HOSTS has an entry that is no host: {text!r}.",
            hint="Write hosts with or without a port, separated by commas: app.example.com, *.internal:8080, 10.0.0.7.",
        )
    return Entry(host, port, below)


async def lookup(host: str, port: int) -> Sequence[str]:
    """What the system says that a name's addresses are."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


async def target(url: str, entries: Sequence[Entry], *, development: bool = False, ask: Lookup = lookup) -> Target:
    """Where to call an app.

    Without `entries` only this machine may be called, and that only in `development`: without a signing key, and bound
    to loopback.

    Raises:
        NotAllowed: it may not be called, or has no address.
    """
    host, port = _parts(url)
    entry = next((each for each in entries if each.has(host, port)), None)
    if entry is None and (entries or not development):
        raise NotAllowed(f"{host}:{port} is not among CDC_APP_HOSTS; add it there if the app is meant.")
    found = await _addresses(host, port, ask)
    for each in found:
        _check(host, _unwrapped(each), entry)
    return Target(url, host, port, str(found[0]), tuple(map(str, found)))


async def outward(url: str, entries: Sequence[Entry], *, development: bool = False, ask: Lookup = lookup) -> Target:
    """Where to call a server that an app names, such as a model's provider: anywhere in the open, and in a private
    network where `entries` say so. In `development` also on this machine.

    Raises:
        NotAllowed: it may not be called, or has no address.
    """
    host, port = _parts(url)
    if any(each.has(host, port) for each in entries):
        return await target(url, entries, ask=ask)
    found = await _addresses(host, port, ask)
    for each in map(_unwrapped, found):
        if not (development if each.is_loopback else _is_open(each)):
            raise NotAllowed(f"{host} is at {each}, which is not in the open; add it to CDC_APP_HOSTS if it is meant.")
    return Target(url, host, port, str(found[0]), tuple(map(str, found)))


def _is_open(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address in _METADATA)


async def _addresses(host: str, port: int, ask: Lookup) -> list[Address]:
    try:
        found = [ipaddress.ip_address(each) for each in await ask(host, port)]
    except (OSError, ValueError):
        found = []
    if not found:
        raise NotAllowed(f"{host} has no address; is the name right?")
    return found


def _parts(url: str) -> tuple[str, int]:
    """Host and port of a URL that can be called at all."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotAllowed("The URL has characters that no URL has.")
    try:
        parts = urlsplit(url)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        raise NotAllowed("The URL cannot be read.") from None
    if parts.scheme not in _PORTS or not host:
        raise NotAllowed("The URL of an app begins with http:// or https:// and names a host.")
    if parts.username is not None or parts.password is not None:
        raise NotAllowed("The URL of an app has no user and no password.")
    return host, _PORTS[parts.scheme] if port is None else port


def _host(text: str) -> str:
    """A name or an address in the one form that it is compared in.

    Raises:
        ValueError: it is neither.
    """
    if literal := _literal(text):
        return str(literal)
    name = text.lower().removesuffix(".")
    if _NAME.fullmatch(name) is None:
        raise ValueError("no host")
    return name


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that one of IPv6 stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _WRAPPED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address


def _check(host: str, address: Address, entry: Entry | None) -> None:
    """Whether this may be connected to. What is on the list may be in a private network; on this machine only what is
    named so, not a name that somebody else has it stand for.

    Raises:
        NotAllowed: it may not.
    """
    never = address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA
    never = never or (address.version == 4 and address in _THIS_NETWORK)
    if address.is_loopback:
        never = never or (entry is not None and host != "localhost" and _literal(host) is None)
    else:
        never = never or address.is_reserved
        if entry is None and not never:
            raise NotAllowed(f"{host} is not this machine, and CDC_APP_HOSTS names no others; add it there.")
    if never:
        raise NotAllowed(f"{host} is at {address}, where no app may be called.")

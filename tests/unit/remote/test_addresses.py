"""Which addresses of apps may be called."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ConfigurationError
from cdc.remote.addresses import Entry, Lookup, NotAllowed, allowed, lookup, target

LIST = allowed("app.example.com, *.internal:8080 10.0.0.7, [fd00::7]:3000, localhost:3000, 127.0.0.1")
METADATA = ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254"]
NOWHERE = [
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]


def at(*addresses: str) -> Lookup:
    async def ask(host: str, port: int) -> Sequence[str]:
        return addresses

    return ask


async def test_what_is_on_the_list_is_called_at_the_address_that_was_checked() -> None:
    found = await target("https://App.Example.com./api/inngest?x=1", LIST, ask=at("203.0.113.5", "10.1.1.1"))
    assert found[:4] == ("https://App.Example.com./api/inngest?x=1", "app.example.com", 443, "203.0.113.5")
    assert found.addresses == ("203.0.113.5", "10.1.1.1")
    assert (await target("http://a.b.internal:8080/", LIST, ask=at("10.1.1.1"))).address == "10.1.1.1"
    assert (await target("http://10.0.0.7/x", LIST, ask=lookup)).address == "10.0.0.7"
    assert (await target("http://[fd00:0::7]:3000/x", LIST, ask=lookup)).address == "fd00::7"
    assert (await target("http://localhost:3000/x", LIST, ask=at("127.0.0.1"))).port == 3000


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://evil.example/",
            "http://app.example.com.evil.example/",
            "http://xapp.example.com/",
            "http://internal:8080/",
        ),
        *(
            "http://a.internal/",
            "http://a.internal:8081/",
            "http://ainternal:8080/",
            "http://10.0.0.8/",
            "http://localhost/",
        ),
        *("http://127.0.0.2/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/", "http://127.1/"),
    ],
)
async def test_what_is_not_on_the_list_is_not_called(url: str) -> None:
    with pytest.raises(NotAllowed, match="CDC_APP_HOSTS"):
        await target(url, LIST, development=True, ask=at("203.0.113.5"))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://app.example.com/",
            "file:///etc/passwd",
            "//app.example.com/",
            "app.example.com",
            "",
            "http://",
            "http:///x",
        ),
        *("http://user@app.example.com/", "http://user:password@app.example.com/", "http://evil@app.example.com:80@x/"),
        *("http://app.example.com:99999/", "http://app.example.com:x/", "http://app.example.com\\@evil.example/"),
        *(
            "http://app.example.com/\r\nx: y",
            "http://app.example.com /",
            "http://[::1/",
            "http://äpp.example.com/",
            "http://a..b/",
        ),
        *("http://app.example.com\t/", "http://%61pp.example.com/", "gopher://127.0.0.1:6379/_"),
    ],
)
async def test_what_is_no_url_of_an_app_is_not_called(url: str) -> None:
    with pytest.raises(NotAllowed):
        await target(url, LIST, ask=at("203.0.113.5"))


@pytest.mark.parametrize("address", [*METADATA, *NOWHERE])
async def test_no_name_leads_to_where_no_app_is(address: str) -> None:
    for addresses in ((address,), ("203.0.113.5", address)):
        with pytest.raises(NotAllowed, match="no app may be called"):
            await target("http://app.example.com/", LIST, ask=at(*addresses))
    with pytest.raises(NotAllowed):
        await target("http://localhost:3000/", LIST, ask=at(address))


@pytest.mark.parametrize("loopback", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_a_name_that_somebody_else_gives_does_not_lead_to_this_machine(loopback: str) -> None:
    for url in ("http://app.example.com/", "http://a.internal:8080/"):
        with pytest.raises(NotAllowed, match="no app may be called"):
            await target(url, LIST, ask=at(loopback))


async def test_without_a_list_only_this_machine_is_called_and_that_in_development_only() -> None:
    assert (await target("http://localhost:3000/api", (), development=True, ask=at("::1"))).address == "::1"
    for address in ("10.0.0.1", "203.0.113.5", *METADATA):
        with pytest.raises(NotAllowed):
            await target("http://localhost:3000/api", (), development=True, ask=at(address))
        with pytest.raises(NotAllowed):
            await target("http://localhost:3000/api", (), development=True, ask=at("127.0.0.1", address))
    with pytest.raises(NotAllowed, match="CDC_APP_HOSTS"):
        await target("http://localhost:3000/api", (), ask=at("127.0.0.1"))


@given(address=st.ip_addresses(), url=st.sampled_from(["http://app.example.com/", "http://x.internal:8080/"]))
async def test_whatever_a_name_stands_for_an_app_is_in_a_network_of_people(address: Any, url: str) -> None:
    try:
        found = ipaddress.ip_address((await target(url, LIST, ask=at(str(address)))).address)
    except NotAllowed:
        return
    assert found == address
    assert not any((found.is_loopback, found.is_link_local, found.is_multicast, found.is_unspecified))
    assert found not in ipaddress.ip_network("169.254.0.0/16")


@given(url=st.text(max_size=30) | st.from_regex(r"https?://[ -~]{0,25}", fullmatch=True))
async def test_whatever_is_given_for_a_url_is_refused_or_on_the_list(url: str) -> None:
    try:
        found = await target(url, LIST, ask=at("203.0.113.5"))
    except NotAllowed:
        return
    assert any(entry.has(found.host, found.port) for entry in LIST)


@pytest.mark.parametrize("text", ["*", "*.", "*.10.0.0.7", "a/b", "a:b", "a:99999", "user@a", "a b..c", "[::1"])
def test_an_entry_that_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CDC_APP_HOSTS"):
        allowed(text)


def test_the_list_is_read_as_it_is_written() -> None:
    assert allowed(" A.example:80,\n*.b.example ,[::1]:3 ") == (
        Entry("a.example", 80),
        Entry("b.example", None, below=True),
        Entry("::1", 3),
    )
    assert allowed("  ") == ()


async def test_a_name_without_an_address_is_told() -> None:
    async def ask(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(NotAllowed, match="has no address"):
        await target("http://app.example.com/", LIST, ask=ask)

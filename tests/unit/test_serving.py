"""To whom the service is served, by its settings."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from cdc.config import load
from cdc.errors import ConfigurationError
from cdc.remote import signing
from cdc.remote.addresses import NotAllowed, target
from cdc.service import serving
from cdc.web.guard.terms import Terms

TOKEN = "0123456789abcdef"
KEY = "signkey-prod-" + "0f" * 16
FOR_OTHERS = {"CDC_HOST": "0.0.0.0", "CDC_DASHBOARD_TOKEN": TOKEN, "CDC_EVENT_KEY": TOKEN}


def check(monkeypatch: pytest.MonkeyPatch, **settings: str) -> list[str]:
    """The warnings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with capture_logs() as logs:
        serving.check(load())
    return [line["event"] for line in logs]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_is_asked_nothing(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert check(monkeypatch, CDC_HOST=host) == []
    assert serving.terms(load()).token is None
    assert serving.terms(load()) == Terms(reading=[])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "fe80::1"])
def test_others_are_served_with_credentials_only(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with pytest.raises(ConfigurationError, match="CDC_DASHBOARD_TOKEN and CDC_EVENT_KEY are not set"):
        check(monkeypatch, CDC_HOST=host)
    with pytest.raises(ConfigurationError, match="CDC_EVENT_KEY is not set"):
        check(monkeypatch, CDC_HOST=host, CDC_DASHBOARD_TOKEN=TOKEN)
    assert check(monkeypatch, CDC_HOST=host, CDC_DASHBOARD_TOKEN=TOKEN, CDC_EVENT_KEY=TOKEN) == []
    for blank in (" ", ","):
        with pytest.raises(ConfigurationError, match="CDC_EVENT_KEY is not set"):
            check(monkeypatch, CDC_EVENT_KEY=blank)
    with pytest.raises(ConfigurationError, match="CDC_DASHBOARD_TOKEN is not set"):
        check(monkeypatch, CDC_DASHBOARD_TOKEN="  ", CDC_EVENT_KEY=TOKEN)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("CDC_DASHBOARD_TOKEN", TOKEN[:15]),
        ("CDC_METRICS_TOKEN", TOKEN[:15]),
        ("CDC_EVENT_KEY", f"{TOKEN}, short"),
        ("CDC_SIGNING_KEY_FALLBACK", "0f"),
    ],
)
def test_what_others_could_guess_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, short: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is too short") as refusal:
        check(monkeypatch, **{**FOR_OTHERS, name: short})
    assert short not in str(refusal.value)
    assert check(monkeypatch, CDC_HOST="127.0.0.1") == [], "on this machine it may be short"


def test_who_says_so_serves_others_unasked_and_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    (warning,) = check(monkeypatch, CDC_HOST="0.0.0.0", CDC_OPEN="true")
    assert "without credentials" in warning
    assert serving.terms(load()).anywhere
    assert check(monkeypatch, **FOR_OTHERS, CDC_OPEN="true") == []


@pytest.mark.parametrize(
    ("name", "unusable"),
    [
        ("CDC_DASHBOARD_TOKEN", "with spaces in it"),
        ("CDC_METRICS_TOKEN", "ümlaut-ümlaut-ümlaut"),
        ("CDC_SIGNING_KEY", "signkey-prod-xyz"),
        ("CDC_SIGNING_KEY_FALLBACK", "0f0"),
        ("CDC_APP_HOSTS", "https://app.example.com"),
        ("CDC_APPS", "app.example.com"),
        ("CDC_APPS", "http://localhost:3000/x, http://user:pass@app.example.com/x"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, unusable: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as refusal:
        check(monkeypatch, **{name: unusable})
    assert refusal.value.hint


def test_signing_keys_open_what_sdks_read(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch, CDC_SIGNING_KEY=KEY, CDC_SIGNING_KEY_FALLBACK="ab" * 16)
    assert serving.terms(load()).reading == [*signing.bearers(KEY), *signing.bearers("ab" * 16)]


HERE, THERE = "http://localhost:3000/api/inngest", "https://app.example.com/api/inngest"


@pytest.mark.parametrize(
    ("given", "may", "may_not"),
    [
        ({}, [HERE], [THERE]),
        ({"CDC_APPS": HERE}, [HERE, "http://127.0.0.1:4000/x"], [THERE]),
        (
            {"CDC_APPS": f"{HERE}, {THERE}"},
            [HERE, THERE, "http://127.0.0.1:4000/x"],
            ["https://app.example.com:8443/x"],
        ),
        ({"CDC_APP_HOSTS": "app.example.com"}, [THERE], [HERE]),
        ({"CDC_SIGNING_KEY": KEY, "CDC_APPS": HERE}, [HERE], [THERE, "http://localhost:4000/x"]),
        ({**FOR_OTHERS, "CDC_APPS": THERE}, [THERE], [HERE]),
    ],
)
async def test_apps_that_are_named_may_be_called_and_on_ones_own_machine_any(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], may: list[str], may_not: list[str]
) -> None:
    check(monkeypatch, **given)
    grounds = serving.grounds(load())

    async def ask(host: str, port: int) -> list[str]:
        return ["203.0.113.5" if host == "app.example.com" else "127.0.0.1"]

    for url in may:
        assert (await target(url, grounds.hosts, development=grounds.development, ask=ask)).url == url
    for url in may_not:
        with pytest.raises(NotAllowed):
            await target(url, grounds.hosts, development=grounds.development, ask=ask)

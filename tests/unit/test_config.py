from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cdc.config import Settings, load, variable
from cdc.errors import ConfigurationError
from cdc.web.guard.terms import Terms

Environment = pytest.MonkeyPatch

SET: dict[str, tuple[str, Any]] = {
    "database_url": ("postgresql://h/d", SecretStr("postgresql://h/d")),
    "state_database_url": ("postgresql://h/d", SecretStr("postgresql://h/d")),
    "sources": ("crm=postgresql://b/c", SecretStr("crm=postgresql://b/c")),
    "functions": ("/a:/b", "/a:/b"),
    "embed": ("notes(body)", "notes(body)"),
    "embed_model": ("local/minilm", "local/minilm"),
    "azure_openai_api_key": ("sk-5", SecretStr("sk-5")),
    "azure_openai_endpoint": ("http://127.0.0.1:5", "http://127.0.0.1:5"),
    "openai_api_version": ("2025-01-01", "2025-01-01"),
    "voyage_api_key": ("sk-6", SecretStr("sk-6")),
    "voyage_base_url": ("http://127.0.0.1:6", "http://127.0.0.1:6"),
    "cohere_api_key": ("sk-7", SecretStr("sk-7")),
    "cohere_base_url": ("http://127.0.0.1:7", "http://127.0.0.1:7"),
    "openai_api_key": ("sk-1", SecretStr("sk-1")),
    "openai_base_url": ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    "anthropic_api_key": ("sk-2", SecretStr("sk-2")),
    "anthropic_base_url": ("http://127.0.0.1:2", "http://127.0.0.1:2"),
    "gemini_api_key": ("sk-3", SecretStr("sk-3")),
    "gemini_base_url": ("http://127.0.0.1:3", "http://127.0.0.1:3"),
    "workers": ("0", 0),
    "concurrency": ("7", 7),
    "threads": ("7", 7),
    "lease": ("2.5", 2.5),
    "app_calls": ("20", 20),
    "app_timeout": ("5m", 300.0),
    "retention": ("1h30m", 5400.0),
    "host": ("[::]", "::"),
    "port": ("0", 0),
    "connect_port": ("0", 0),
    "dashboard_token": ("open-sesame-open-sesame", SecretStr("open-sesame-open-sesame")),
    "metrics_token": ("scrapes-scrapes-scrapes", SecretStr("scrapes-scrapes-scrapes")),
    "open": ("true", True),
    "proxies": ("10.0.0.7, 10.1.0.0/16", "10.0.0.7/32,10.1.0.0/16"),
    "signing_key": ("signkey-prod-00ff", SecretStr("signkey-prod-00ff")),
    "signing_key_fallback": ("signkey-prod-ff00", SecretStr("signkey-prod-ff00")),
    "apps": ("http://localhost:3000/api/inngest", "http://localhost:3000/api/inngest"),
    "app_hosts": ("app.example.com, *.internal:8080", "app.example.com, *.internal:8080"),
    "event_key": ("a, b", SecretStr("a, b")),
    "forward": ("inngest", "inngest"),
    "inngest_event_key": ("ek-1", SecretStr("ek-1")),
    "inngest_event_api_base_url": ("http://127.0.0.1:8", "http://127.0.0.1:8"),
    "inngest_base_url": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "inngest_dev": ("1", "1"),
    "slot": ("mine_2", "mine_2"),
    "publication": ("Mine", "Mine"),
    "on_slot_loss": ("recreate", "recreate"),
    "failover": ("true", True),
    "listen": ("every 10m", 600.0),
    "tables": ("users, audit.*", "users, audit.*"),
    "exclude": ("users(ssn)", "users(ssn)"),
    "filter": ("orders: id > 3", "orders: id > 3"),
    "partitions": ("leaf", "leaf"),
    "connect_timeout": ("0", 0.0),
    "network_timeout": ("5", 5.0),
    "inferences": ("50", 50),
    "ai_content": ("drop", "drop"),
    "index_memory": ("512MB", "512MB"),
    "shutdown_timeout": ("0", 0.0),
    "data_dir": ("/var/lib/x", Path("/var/lib/x")),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_set_by_its_variable_and_an_empty_one_counts_as_none(
    monkeypatch: Environment, field: str
) -> None:
    text, value = SET[field]
    monkeypatch.setenv(variable(field), text)
    assert load() == Settings().model_copy(update={field: value})
    monkeypatch.setenv(variable(field), "")
    assert load() == Settings.model_construct()


def test_coheres_key_has_the_name_that_its_package_reads_too(monkeypatch: Environment) -> None:
    monkeypatch.setenv("CO_API_KEY", "sk-8")
    assert load().cohere_api_key == SecretStr("sk-8")


def test_geminis_key_has_the_name_that_google_gives_it_too(monkeypatch: Environment) -> None:
    monkeypatch.setenv("GOOGLE_GENERATIVE_AI_API_KEY", "sk-4")
    assert load().gemini_api_key == SecretStr("sk-4")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CDC_WORKERS", "65"),
        ("CDC_CONCURRENCY", "0"),
        ("CDC_THREADS", "many"),
        ("CDC_LEASE", "0.5"),
        ("CDC_RETENTION", "59m"),
        ("CDC_RETENTION", "sometimes"),
        ("CDC_HOST", "example.com"),
        ("CDC_HOST", "0.0.0.0:8288"),
        ("CDC_PORT", "65536"),
        ("CDC_OPEN", "perhaps"),
        ("CDC_PROXIES", "*"),
        ("CDC_PROXIES", "10.0.0.0/8, proxy"),
        ("CDC_SLOT", "My-Slot"),
        ("CDC_PUBLICATION", "p" * 64),
        ("CDC_CONNECT_TIMEOUT", "-1"),
        ("CDC_SHUTDOWN_TIMEOUT", "forever"),
        ("CDC_LOG_LEVEL", "DEBUG!"),
        ("CDC_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_is_not_usable_is_refused_by_name_and_not_repeated(
    monkeypatch: Environment, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refusal:
        load()
    assert refusal.value.message.startswith(f"{name} is not usable: ")
    assert refusal.value.message.endswith(".")
    assert value not in refusal.value.message
    assert refusal.value.hint


def test_secrets_do_not_show(monkeypatch: Environment) -> None:
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    assert {"database_url", "event_key", "dashboard_token", "signing_key"} <= {*secrets}
    for name in secrets:
        monkeypatch.setenv(variable(name), f"postgresql://u:open-sesame-{name}@h/d")
    terms = Terms(token="open-sesame", metrics_token="open-sesame", reading=("open-sesame",))
    shown = f"{load()!r} {load()} {load().model_dump()} {load().model_dump_json()} {terms}"
    assert "open-sesame" not in shown


def test_what_names_a_secret_is_held_as_one() -> None:
    for name, field in Settings.model_fields.items():
        if any(word in name for word in ("token", "key", "password", "secret")):
            assert "SecretStr" in str(field.annotation), name


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("127.0.0.1", "8288", "http://127.0.0.1:8288"),
        ("localhost", "1", "http://127.0.0.1:1"),
        ("0.0.0.0", "1", "http://127.0.0.1:1"),
        ("::", "1", "http://[::1]:1"),
        ("::1", "1", "http://[::1]:1"),
        ("192.0.2.1", "1", "http://192.0.2.1:1"),
    ],
)
def test_this_machine_reaches_the_api_wherever_it_is_bound(
    monkeypatch: Environment, host: str, port: str, url: str
) -> None:
    monkeypatch.setenv("CDC_HOST", host)
    monkeypatch.setenv("CDC_PORT", port)
    assert load().local_url == url


def test_every_setting_says_in_a_sentence_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(("name", "value"), [("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "http://127.0.0.1:1")])
def test_a_key_or_a_url_makes_the_provider_available(monkeypatch: Environment, name: str, value: str) -> None:
    assert not load().openai_available
    monkeypatch.setenv(name, value)
    assert load().openai_available

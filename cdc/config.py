"""Settings: one home, one default and one sentence each. Read by the command line and the composition root only.

`docs/configuration.md` is generated from this file.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cdc.clock import seconds
from cdc.errors import ConfigurationError


def _duration(given: Any) -> Any:
    """Seconds.

    Raises:
        ValueError: it is no duration; the value is not repeated.
    """
    try:
        return seconds(given)
    except ValueError:
        raise ValueError("write it like 12h, 7d or 4w") from None


def _interval(given: Any) -> Any:
    """Seconds between two drains; None: the stream stays open.

    Raises:
        ValueError: it is neither.
    """
    words = given.split() if isinstance(given, str) else []
    if given is None or words == ["always"]:
        return None
    if words[:1] != ["every"]:
        raise ValueError("write 'always', or 'every 10m'")
    return _duration("".join(words[1:]))


def _address(given: Any) -> Any:
    """An address of this machine.

    Raises:
        ValueError: it is none; the value is not repeated.
    """
    text = str(given).strip().removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))
    except ValueError:
        raise ValueError("write an address of this machine, like 127.0.0.1, 0.0.0.0 or ::") from None


def _networks(given: Any) -> Any:
    """Addresses and networks, separated by commas.

    Raises:
        ValueError: one is none; the value is not repeated.
    """
    texts = [each.strip() for each in str(given).split(",") if each.strip()]
    try:
        return ",".join(str(ipaddress.ip_network(each)) for each in texts)
    except ValueError:
        raise ValueError("write addresses or networks, like 10.0.0.7 or 10.0.0.0/8, separated by commas") from None


class Settings(BaseSettings):
    """Everything that can be set, from the environment; an empty variable counts as none."""

    model_config = SettingsConfigDict(env_prefix="CDC_", env_ignore_empty=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="The database to watch, source `default`. Without it and CDC_SOURCES, a Postgres of its own is "
        "started (extra `embedded`).",
    )
    sources: SecretStr | None = Field(
        default=None,
        description="More databases to watch, by name: `crm=postgresql://..., shop=postgresql://...`; or `@<file>`, "
        "with one `name=url` a line, which is followed while the service runs.",
    )
    state_database_url: SecretStr | None = Field(
        default=None,
        description="The database for events, runs and checkpoints (schema `cdc_state`), where it is not the watched "
        "one. It may be reached through a transaction pooler.",
    )
    functions: str = Field(
        default="",
        description="Folders of function files, separated by `:`. The built-in functions are always there.",
    )
    embed: str = Field(
        default="",
        description="Embeddings to declare at start: `documents(title,content)->embedding; notes(body)`, with options: "
        "`notes(body) with (chunk_tokens = 400)`.",
    )
    embed_model: str | None = Field(
        default=None,
        description="Model for new declarations: `openai/<model>`, `azure/<deployment>`, `gemini/<model>`, "
        "`voyage/<model>`, `cohere/<model>`, `local/minilm` or `local-fast/wordllama`; with `@512`, vectors of that "
        "length. Without it: OpenAI's text-embedding-3-small when a key is set, else the local model.",
    )
    index_memory: str = Field(
        default="256MB",
        pattern=r"^[1-9]\d{0,8}(kB|MB|GB)$",
        description="The most memory that the server may take to make an index of vectors (`maintenance_work_mem`). It "
        "takes what the vectors need, and no less than it is set to itself.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_API_KEY"),
        description="Key of OpenAI or a compatible server.",
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_BASE_URL"),
        description="Address of an OpenAI-compatible server.",
    )
    azure_openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("AZURE_OPENAI_API_KEY"),
        description="Key of an Azure OpenAI resource.",
    )
    azure_openai_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AZURE_OPENAI_ENDPOINT"),
        description="Address of the Azure OpenAI resource: `https://<name>.openai.azure.com`.",
    )
    openai_api_version: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_API_VERSION"),
        description="Version of Azure's API. Without it: 2024-10-21.",
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("ANTHROPIC_API_KEY"),
        description="Key of Anthropic, for `step.ai` (extra `anthropic`).",
    )
    anthropic_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("ANTHROPIC_BASE_URL"),
        description="Address of a server that speaks Anthropic's API.",
    )
    gemini_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"),
        description="Key of Google's Gemini API; `GOOGLE_GENERATIVE_AI_API_KEY` is read, too.",
    )
    gemini_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("GEMINI_BASE_URL"),
        description="Address of a server that speaks Gemini's API.",
    )
    voyage_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("VOYAGE_API_KEY"),
        description="Key of Voyage AI.",
    )
    voyage_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("VOYAGE_BASE_URL"),
        description="Address of a proxy before Voyage's API, with its `/v1`.",
    )
    cohere_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("COHERE_API_KEY", "CO_API_KEY"),
        description="Key of Cohere; `CO_API_KEY` is read, too.",
    )
    cohere_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("COHERE_BASE_URL"),
        description="Address of a proxy before Cohere's API.",
    )
    workers: int = Field(default=1, ge=0, le=64, description="Processes that execute functions.")
    concurrency: int = Field(default=1000, ge=1, le=100_000, description="Runs in flight in each worker process.")
    threads: int = Field(
        default=32, ge=1, le=1024, description="Threads for plain (blocking) step functions in each worker."
    )
    lease: float = Field(
        default=15.0,
        ge=1.0,
        le=3600.0,
        description="Seconds after which the runs of a silent worker are given to others.",
    )
    inferences: int = Field(
        default=1000, ge=1, le=100_000, description="Calls of models under way at once in each worker process."
    )
    ai_content: Literal["keep", "drop"] = Field(
        default="keep",
        description="What `step.ai` asks models and what they say: `keep` it with the run, or `drop` it: no input "
        "is stored, and answers are removed when the run has ended.",
    )
    retention: Annotated[float, BeforeValidator(_duration)] = Field(
        default=7 * 86400.0,
        ge=3600.0,
        description="How long finished runs and events are kept: `12h`, `7d` or `4w`, say; an hour at least.",
        json_schema_extra={"default": "7d", "type": "string", "format": "duration"},
    )
    host: Annotated[str, BeforeValidator(_address)] = Field(
        default="127.0.0.1",
        description="Address of this machine that the HTTP API and the dashboard are served on: `0.0.0.0` for all of "
        "IPv4, `::` for IPv6, too. Others than this machine itself need CDC_DASHBOARD_TOKEN and CDC_EVENT_KEY.",
    )
    port: int = Field(
        default=8288, ge=0, le=65535, description="Port of the HTTP API and the dashboard; 0 picks a free one."
    )
    dashboard_token: SecretStr | None = Field(
        default=None,
        description="What the dashboard asks for at its login, and the API as `Authorization: Bearer <token>`. Without "
        "it, nothing is asked.",
    )
    metrics_token: SecretStr | None = Field(
        default=None, description="What opens `/metrics`, and nothing else, as `Authorization: Bearer <token>`."
    )
    open: bool = Field(
        default=False,
        description="Serve others without credentials: `true` only where something else keeps out whoever may not.",
    )
    proxies: Annotated[str, BeforeValidator(_networks)] = Field(
        default="",
        description="Addresses and networks of proxies before the service, separated by commas. They are believed for "
        "whom they ask (`X-Forwarded-For`) and whether by https (`X-Forwarded-Proto`).",
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="Key that apps written with Inngest's SDKs have as `INNGEST_SIGNING_KEY`: `signkey-prod-<hex>`. "
        "Its hash opens what the API has to read.",
    )
    signing_key_fallback: SecretStr | None = Field(
        default=None, description="A second signing key that counts, while apps change from one to another."
    )
    app_hosts: str = Field(
        default="",
        description="Hosts of apps that may be called, with or without a port: `app.example.com, *.internal:8080`. "
        "Those of CDC_APPS may, too. Without it and without a key, apps on this machine may.",
    )
    apps: str = Field(
        default="",
        description="URLs of apps written with Inngest's SDKs, separated by commas: "
        "`http://localhost:3000/api/inngest`. The service asks them for their functions, and again now and then.",
    )
    app_calls: int = Field(
        default=500, ge=1, le=100_000, description="Calls of one app under way at once in each service."
    )
    app_timeout: Annotated[float, BeforeValidator(_duration)] = Field(
        default=7200.0,
        ge=1.0,
        description="How long one call of an app may take: `30s`, `5m` or `2h`, say.",
        json_schema_extra={"default": "2h", "type": "string", "format": "duration"},
    )
    connect_port: int = Field(
        default=8289,
        ge=0,
        le=65535,
        description="Port for apps that connect by themselves (`connect` of Inngest's SDKs), on the address of "
        "CDC_HOST, once there are apps; 0: none may.",
    )
    event_key: SecretStr | None = Field(
        default=None,
        description="Keys that events may come with to `POST /e/{key}`, separated by commas. Without it, any key is "
        "accepted.",
    )
    forward: Literal["inngest"] | None = Field(
        default=None,
        description="`inngest`: send every `db/*` event on to the event API of an Inngest cluster (docs/inngest.md).",
    )
    inngest_event_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("INNGEST_EVENT_KEY"),
        description="Key of the event API that CDC_FORWARD sends to; a development server needs none.",
    )
    inngest_event_api_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("INNGEST_EVENT_API_BASE_URL"),
        description="Address of that event API. Without it: INNGEST_BASE_URL, INNGEST_DEV, or Inngest Cloud.",
    )
    inngest_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("INNGEST_BASE_URL"),
        description="Address of a self-hosted Inngest.",
    )
    inngest_dev: str | None = Field(
        default=None,
        validation_alias=AliasChoices("INNGEST_DEV"),
        description="Address of a development server of Inngest, or `1` for the one on this machine.",
    )
    slot: str = Field(default="cdc", pattern=r"^[a-z0-9_]{1,63}$", description="Name of the replication slot.")
    publication: str = Field(default="cdc", min_length=1, max_length=63, description="Name of the publication.")
    on_slot_loss: Literal["stop", "recreate"] = Field(
        default="stop",
        description="What to do when the slot was dropped or invalidated: `stop` with exit code 65, or `recreate` it "
        "at the present position, record which changes were lost, and embed anew what changed meanwhile.",
    )
    failover: bool = Field(
        default=False,
        description="Have standbys keep a copy of the slot, so that one that is promoted can be followed (Postgres 17 "
        "and later).",
    )
    listen: Annotated[float | None, BeforeValidator(_interval)] = Field(
        default=None,
        gt=0,
        description="`always`, or `every 10m`: read what is there, disconnect, and let a scale-to-zero database sleep.",
        json_schema_extra={"default": "always", "type": "string"},
    )
    tables: str = Field(
        default="",
        description="Tables to publish besides those that functions and embeddings name, and so what `db/*` may see: "
        "`users, public.orders, audit.*`, or `*` for all.",
    )
    exclude: str = Field(
        default="",
        description="Columns that never leave the database, and tables none of whose rows do: "
        "`users(password_hash, ssn); audit.log(body); secrets`. Columns need Postgres 15.",
    )
    filter: str = Field(
        default="",
        description="Rows that are published, as conditions in SQL: `orders: status = 'paid'; users: deleted_at is "
        "null`. Needs Postgres 15.",
    )
    partitions: Literal["root", "leaf"] = Field(
        default="root",
        description="Whose name events of a partitioned table carry: the table's own (`root`), or the partition's.",
    )
    connect_timeout: float = Field(
        default=300.0, ge=0.0, description="Seconds to wait at start for a database that is not up yet."
    )
    network_timeout: float = Field(
        default=60.0,
        ge=1.0,
        le=3600.0,
        description="Seconds without an answer after which a connection to the database is given up and made anew.",
    )
    shutdown_timeout: float = Field(
        default=10.0, ge=0.0, le=3600.0, description="Seconds that runs in flight have to end when the service stops."
    )
    data_dir: Path | None = Field(default=None, description="Where the embedded Postgres keeps its data.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="`console` for people, `json` for machines; `auto` looks whether stderr is a terminal.",
    )

    @property
    def watched_url(self) -> str | None:
        """DATABASE_URL."""
        return self.database_url.get_secret_value() if self.database_url else None

    @property
    def state_url(self) -> str | None:
        """Where the state lives: the watched database unless told otherwise."""
        url = self.state_database_url or self.database_url
        return url.get_secret_value() if url else None

    @property
    def event_keys(self) -> tuple[str, ...]:
        """The keys of `event_key`."""
        given = self.event_key.get_secret_value().split(",") if self.event_key else []
        return tuple(key.strip() for key in given if key.strip())

    @property
    def local_url(self) -> str:
        """Where this machine itself reaches the HTTP API."""
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - it is not bound to
        return f"http://{f'[{address}]' if ':' in address else address}:{self.port}"

    @property
    def openai_available(self) -> bool:
        """Whether an OpenAI-compatible provider is configured."""
        return bool(self.openai_api_key and self.openai_api_key.get_secret_value()) or bool(self.openai_base_url)


def load() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: a value is not usable; says which and why, and never repeats it.
    """
    try:
        return Settings()
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        name = variable(str(first["loc"][0]))
        raise ConfigurationError(
            f"{name} is not usable: {first['msg'][0].lower()}{first['msg'][1:]}.",
            hint="docs/configuration.md lists every setting.",
        ) from None


def variable(field: str) -> str:
    """The environment variable of a setting's field."""
    known = Settings.model_fields.get(field.lower())
    if known is None or known.validation_alias is not None:
        return field.upper()
    return f"CDC_{field.upper()}"

"""The databases to watch, each by its name: DATABASE_URL is `default`, CDC_SOURCES names others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.store.connect import STATE, WATCHED, checked

DEFAULT = "default"
"""Name of the source that DATABASE_URL is."""

SOURCES = "CDC_SOURCES"

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENTRY = re.compile(r"(?:^|[,\s])\s*([^\s,=:/@?#]+)\s*=\s*(?=postgres(?:ql)?://)")
"""Where an entry of the one-line form begins: URLs of several hosts have commas of their own."""

_LONGEST = 63
"""Bytes in the name of a slot (Postgres docs, replication slots)."""

_HOW = (
    "Write it like crm=postgresql://user:password@host:5432/crm, shop=postgresql://..., or @/path/to/file with one "
    "name=url a line."
)


@dataclass(frozen=True, slots=True)
class Named:
    """One source as it is configured; the URL is not shown, it carries a password."""

    name: str
    url: str = field(repr=False)
    slot: str
    is_home: bool = False

    @classmethod
    def home(cls, settings: Settings, url: str) -> Named:
        """The source of DATABASE_URL: the service cannot do without it."""
        return cls(DEFAULT, url, settings.slot, is_home=True)

    @classmethod
    def of(cls, settings: Settings, name: str, url: str) -> Named:
        """Another; slots are shared by all databases of a server, so each source has one that is named like it."""
        return cls(name, url, settings.slot if name == DEFAULT else f"{settings.slot}_{name}")

    @property
    def setting(self) -> str:
        """Where the URL was set, for messages about it."""
        return WATCHED if self.is_home else f"{SOURCES} ({self.name})"


def configured(settings: Settings, url: str | None) -> tuple[Named, ...]:
    """All sources, that of DATABASE_URL first, which is at `url`.

    Raises:
        ConfigurationError: CDC_SOURCES cannot be used as it is; URLs are not repeated.
    """
    named = _named(settings)
    if url is None and settings.sources is not None and settings.state_database_url is None:
        raise ConfigurationError(
            f"Without {WATCHED}, {SOURCES} needs a database for the service's state.",
            hint=f"Set {STATE}; it may be one of the sources.",
        )
    if url is not None and DEFAULT in named:
        raise ConfigurationError(
            f"{SOURCES} has a source {DEFAULT!r}, which is that of {WATCHED}.", hint="Give it another name."
        )
    home = [] if url is None else [Named.home(settings, url)]
    return (*home, *(Named.of(settings, name, each) for name, each in named.items()))


def file_of(settings: Settings) -> Path | None:
    """The file that CDC_SOURCES names, if it does."""
    given = _given(settings)
    return Path(given[1:]).expanduser() if given.startswith("@") else None


def inline(sources: Iterable[Named]) -> str:
    """The one-line form of all but that of DATABASE_URL."""
    return ", ".join(f"{source.name}={source.url}" for source in sources if not source.is_home)


def with_sources(settings: Settings, sources: str) -> Settings:
    """The same settings with another CDC_SOURCES."""
    return settings.model_copy(update={"sources": SecretStr(sources)})


def _named(settings: Settings) -> dict[str, str]:
    file = file_of(settings)
    entries = _lines(file) if file else _entries(_given(settings))
    found: dict[str, str] = {}
    for name, url in entries:
        if name in found:
            raise ConfigurationError(f"{SOURCES} has two sources {name!r}.", hint="Give one of them another name.")
        _check(settings, name, url)
        found[name] = url
    return found


def _given(settings: Settings) -> str:
    return settings.sources.get_secret_value().strip() if settings.sources else ""


def _entries(text: str) -> list[tuple[str, str]]:
    found = list(_ENTRY.finditer(text))
    if text and (not found or found[0].start()):
        raise ConfigurationError(f"{SOURCES} cannot be read.", hint=_HOW)
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [(match[1], text[match.end() : end].strip(", \t\r\n")) for match, end in zip(found, ends, strict=False)]


def _lines(file: Path) -> list[tuple[str, str]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"The file of {SOURCES}, {file}, cannot be read: {reason}.", hint="Check its path and its rights."
        ) from None
    entries = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            match = _ENTRY.match(line)
            if match is None:
                raise ConfigurationError(
                    f"Line {number} of {file} cannot be read.", hint="Write it: name=postgresql://"
                )
            entries.append((match[1], line[match.end() :]))
    return entries


def _check(settings: Settings, name: str, url: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{SOURCES}: {name!r} cannot be the name of a source.",
            hint="A name is lower-case letters, digits and _, and begins with a letter.",
        )
    if url.count("://") != 1 or re.search(r"\s", url):
        raise ConfigurationError(f"{SOURCES}: what follows {name}= is not one URL.", hint=_HOW)
    source = Named.of(settings, name, url)
    if len(source.slot) > _LONGEST:
        raise ConfigurationError(
            f"The name of the source {name!r} is too long: its slot would be {source.slot!r}.",
            hint=f"Slots have names of at most {_LONGEST} characters; shorten it, or CDC_SLOT.",
        )
    checked(url, source.setting)

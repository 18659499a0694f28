"""The database that a command speaks to: that of DATABASE_URL, or with `--source` another one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.service.named import DEFAULT, SOURCES, Named, configured

__all__ = ["DEFAULT", "Source", "chosen", "database_url"]

Source = Annotated[str, Parameter(name="--source")]
"""The option of every command that speaks to a watched database; its default is `DEFAULT`."""


def chosen(settings: Settings, source: str) -> Named:
    """The source of this name.

    Raises:
        ConfigurationError: there is none, or the settings cannot be used.
    """
    if source == DEFAULT and settings.database_url is None and settings.sources is None:
        raise ConfigurationError(
            "DATABASE_URL is not set.", hint="export DATABASE_URL=postgresql://user:password@host:5432/database"
        )
    sources = {named.name: named for named in configured(settings, settings.watched_url)}
    if source not in sources:
        raise ConfigurationError(
            f"There is no source {source!r}.",
            hint=f"There are: {', '.join(sources)}; take one of them with --source, or add it to {SOURCES}.",
        )
    return sources[source]


def database_url(settings: Settings, source: str = DEFAULT) -> str:
    """The URL of a source.

    Raises:
        ConfigurationError: there is none of this name, or the settings cannot be used.
    """
    return chosen(settings, source).url

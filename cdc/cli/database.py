"""The database that a command speaks to."""

from __future__ import annotations

from cdc.config import Settings
from cdc.errors import ConfigurationError


def database_url(settings: Settings) -> str:
    """DATABASE_URL.

    Raises:
        ConfigurationError: it is not set.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set.", hint="export DATABASE_URL=postgresql://user:password@host:5432/database"
        )
    return settings.database_url.get_secret_value()

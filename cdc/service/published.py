"""What the settings say of the publication, and what that means for embeddings."""

from __future__ import annotations

from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.store.embeddings import Layout
from cdc.store.selection import Selection, parse
from cdc.store.targets import SourceFacts


def selection(settings: Settings) -> Selection:
    """What CDC_TABLES, CDC_EXCLUDE, CDC_FILTER and CDC_PARTITIONS ask for.

    Raises:
        ConfigurationError: one of them cannot be read.
    """
    return parse(
        tables=settings.tables,
        exclude=settings.exclude,
        filters=settings.filter,
        by_root=settings.partitions == "root",
    )


def check_embedding(selected: Selection, layout: Layout, facts: SourceFacts) -> None:
    """Whether the settings let an embedding be served.

    Raises:
        ConfigurationError: they do not.
    """
    declaration = layout.declaration
    table = (declaration.table_schema, declaration.table_name)
    if selected.excludes([table]):
        raise ConfigurationError(
            f"CDC_EXCLUDE keeps {declaration.source} from being published.",
            hint="Call cdc.unembed(), or take it out of CDC_EXCLUDE.",
        )
    needed = [*declaration.reads, *(column.name for column in layout.key)]
    hidden = [name for name in needed if name in selected.restriction([table]).columns]
    if hidden:
        raise ConfigurationError(
            f"CDC_EXCLUDE leaves out {', '.join(hidden)} of {declaration.source}, which the embedding needs.",
            hint="Call cdc.unembed() and declare other columns, or take it out of CDC_EXCLUDE.",
        )
    if facts.is_partitioned and not selected.by_root:
        raise ConfigurationError(
            f"Rows of {declaration.source} come under the names of its partitions, because CDC_PARTITIONS is leaf.",
            hint="Call cdc.unembed(), or set CDC_PARTITIONS to root.",
        )

"""What a table must be like to be embedded, and a target to take the vectors; each check says what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.store.embeddings import Declaration, Layout, VectorType
from cdc.store.targets import Column, SourceFacts

INDEXED: dict[VectorType, int] = {"vector": 2000, "halfvec": 4000}
"""How many dimensions of each type an HNSW index takes."""

_OWN_COLUMNS = {
    "table": ("embedding", "hash", "updated_at"),
    "chunks": ("ordinal", "chunk", "embedding", "hash", "updated_at"),
    "column": (),
}

_UNUSABLE_KEYS = ("bytea", "jsonb")
"""Events carry values of these types in another form than the one SQL reads."""


def check_source(layout: Layout, facts: SourceFacts | None, columns: Mapping[str, Column]) -> SourceFacts:
    """Whether a table can be followed by our role; returns the facts, as there are some.

    Raises:
        ConfigurationError: the table is gone, or not made so that it can be.
        DatabaseRefused: our role lacks a right.
    """
    declaration = layout.declaration
    if facts is None:
        raise ConfigurationError(
            f"There is no table {declaration.source}.",
            hint=f"Make it again, or remove row {declaration.id} of cdc.embeddings.",
        )
    missing = [name for name in declaration.reads if name not in columns]
    if missing:
        raise ConfigurationError(
            f"Table {facts.name} has no column {', '.join(missing)} any more.",
            hint="Call cdc.unembed() and declare the columns that there are.",
        )
    _check_key(layout, facts)
    _check_rights(declaration, facts)
    return facts


def check_vector(declaration: Declaration, column: Column) -> None:
    """Whether a column takes the vectors of the declared model and type.

    Raises:
        ConfigurationError: it is of another type, or for another number of dimensions.
    """
    model, size = declaration.model, declaration.dimensions
    name = f"{declaration.target_schema}.{declaration.target_table}.{declaration.target_column}"
    if column.dimensions is None:
        raise ConfigurationError(
            f"Column {name} exists already and is of type {column.type}, not vector.",
            hint="Call cdc.unembed() and name another target.",
        )
    if column.vector_type != declaration.vector_type:
        raise ConfigurationError(
            f"Column {name} exists already and is of type {column.type}, not {declaration.vector_type}.",
            hint="Call cdc.unembed() and declare it with that vector_type, or name another target.",
        )
    if column.dimensions == -1 and declaration.index_type == "hnsw":
        raise ConfigurationError(
            f"Column {name} takes vectors of any length, which no index does.",
            hint=f"Declare it again with index => 'none', or alter its type to {declaration.vector_type}({size}).",
        )
    if column.dimensions not in (-1, size):
        raise ConfigurationError(
            f"Column {name} takes vectors of {column.dimensions} dimensions, {model} makes {size}.",
            hint=f"Call cdc.unembed() and name another target or a model of {column.dimensions} dimensions.",
        )


def check_index(declaration: Declaration) -> None:
    """Whether the index that is wished for can be made.

    Raises:
        ConfigurationError: the vectors are too long for it.
    """
    limit = INDEXED[declaration.vector_type]
    size = declaration.dimensions or 0
    if declaration.index_type == "hnsw" and size > limit:
        shorter = " vector_type => 'halfvec'," if size <= INDEXED["halfvec"] else ""
        raise ConfigurationError(
            f"HNSW takes {declaration.vector_type} of up to {limit:,} dimensions; {declaration.model} makes {size:,}.",
            hint=f"Call cdc.unembed() and declare it with{shorter} fewer dimensions or index => 'none'.",
        )


def check_table(layout: Layout, existing: Mapping[str, Column], source: Mapping[str, Column]) -> None:
    """Whether a table that stands where the target goes has the shape of one; see `check_vector` for the rest.

    Raises:
        ConfigurationError: it has not.
    """
    differences = "; ".join(_differences(layout, existing, source))
    if differences:
        raise ConfigurationError(
            f"Table {layout.declaration.target} exists already and is not made for these vectors: {differences}.",
            hint="Rename or drop it, or call cdc.unembed() and name another target.",
        )


def _differences(layout: Layout, existing: Mapping[str, Column], source: Mapping[str, Column]) -> Iterator[str]:
    keys = [column.name for column in layout.key]
    types = {name: source[name].type for name in keys} | {"hash": "bytea", "updated_at": "timestamp with time zone"}
    if layout.declaration.target_kind == "chunks":
        types |= {"ordinal": "integer", "chunk": "text"}
        keys.append("ordinal")
    for name, type_ in types.items():
        if name in existing and existing[name].type != type_:
            yield f"column {name} is {existing[name].type}, not {type_}"
    absent = [name for name in (*types, "embedding") if name not in existing]
    if absent:
        yield f"it has no column {', '.join(absent)}"
    elif {column.name for column in existing.values() if column.key_place} != set(keys):
        yield f"its primary key is not ({', '.join(keys)})"


def _check_key(layout: Layout, facts: SourceFacts) -> None:
    if not layout.key:
        raise ConfigurationError(
            f"Table {facts.name} has no primary key.", hint="Add one: the vector of a row is found by it."
        )
    for column in layout.key:
        if column.type_schema == "pg_catalog" and column.type_name in _UNUSABLE_KEYS:
            raise ConfigurationError(
                f"Column {column.name} of the primary key of {facts.name} is of type {column.type_name}, "
                "which cannot be followed.",
                hint="Use a key of another type, such as bigint, uuid or text.",
            )
        if column.name in _OWN_COLUMNS[layout.declaration.target_kind]:
            raise ConfigurationError(
                f"Key column {column.name} of {facts.name} has the name of a column that a table of vectors needs.",
                hint="Call cdc.unembed() and declare a column of the table itself as target.",
            )
    if not facts.identity_has_key:
        raise ConfigurationError(
            f"Deleted rows of {facts.name} are published without their primary key.",
            hint=f"Run: ALTER TABLE {facts.name} REPLICA IDENTITY DEFAULT;",
        )


def _check_rights(declaration: Declaration, facts: SourceFacts) -> None:
    writes = declaration.target_kind == "column" or declaration.fk
    for right, granted in (("SELECT", facts.may_read), ("UPDATE", facts.may_update or not writes)):
        if not granted:
            raise DatabaseRefused(
                f"Role {facts.role} has no {right} right on {facts.name}.",
                hint=f'Run: GRANT {right} ON {facts.name} TO "{facts.role}";',
            )
    if facts.rows_hidden:
        raise DatabaseRefused(
            f"Row-level security hides rows of {facts.name} from role {facts.role}; their vectors would be removed.",
            hint=f'Run: ALTER ROLE "{facts.role}" BYPASSRLS; or let the service connect as the owner of the table.',
        )

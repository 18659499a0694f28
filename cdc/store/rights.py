"""Roles, schemas and grants: what an administrator gives to the service."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import errors, sql
from psycopg.rows import class_row

from cdc.errors import DatabaseRefused
from cdc.store.connect import Connection
from cdc.store.hosts import Host
from cdc.store.queries import compose, text

Part = str | tuple[str, ...] | list[str]


class Role(NamedTuple):
    """A role as it is. `is_ours`: we have all its rights, and can give things to it."""

    may_login: bool
    may_replicate: bool
    may_connect: bool
    is_ours: bool


class Embedded(NamedTuple):
    """A declared embedding, and what the role may do with its tables."""

    schema: str
    table: str
    target_kind: str
    target_schema: str
    target_table: str
    target_column: str
    fk: bool
    key: list[str] | None
    may_see: bool
    may_read: bool
    has_table: bool
    has_column: bool
    may_make: bool
    may_write: bool
    may_refer: bool


class Kept(NamedTuple):
    """How much is in the schema of the state."""

    runs: int
    unfinished: int
    events: int


async def role(conn: Connection, name: str) -> Role | None:
    """The role of this name."""
    row = await (await conn.execute(text("setup/role"), {"role": name})).fetchone()
    return None if row is None else Role(*row)


async def create_role(conn: Connection, name: str, password: str, host: Host, *, hashed: bool) -> None:
    """Make a role that may log in; the password goes to the server `hashed`, where the host takes that.

    Raises:
        DatabaseRefused: we may not make roles.
    """
    sent = password
    if hashed and host.takes_verifiers:
        sent = conn.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    statement = compose("setup/create_role", role=sql.Identifier(name), password=sql.Literal(sent))
    try:
        await conn.execute(statement)
    except errors.InsufficientPrivilege:
        raise DatabaseRefused(
            f"This role may not make the role {name!r}.",
            hint=f"As an administrator: CREATE ROLE {quoted(conn, name)} LOGIN PASSWORD '...'; then run this again.",
        ) from None


async def allow_replication(conn: Connection, name: str, host: Host) -> None:
    """Let a role replicate, as its host does that.

    Raises:
        DatabaseRefused: we may not.
    """
    statement = host.allow_replication(quoted(conn, name))
    try:
        await conn.execute(sql.SQL(statement))
    except (errors.InsufficientPrivilege, errors.UndefinedObject) as error:
        raise DatabaseRefused(
            f"This role may not let {name!r} replicate: {error.diag.message_primary}.",
            hint=f"On {host.name}, as an administrator: {statement};",
        ) from None


async def give(conn: Connection, right: str, **parts: Part) -> None:
    """Run a statement of sql/queries; the parts are names, qualified ones and lists.

    Raises:
        DatabaseRefused: we may not.
    """
    statement = compose(right, **{part: _name(name) for part, name in parts.items()})
    try:
        await conn.execute(statement)
    except errors.InsufficientPrivilege as error:
        raise DatabaseRefused(
            f"This role may not do that: {error.diag.message_primary}.",
            hint=f"As an administrator, or as the owner: {' '.join(statement.as_string(conn).split())};",
        ) from None


async def owner(conn: Connection, schema: str) -> str | None:
    """Who owns a schema; None when there is none."""
    row = await (await conn.execute(text("setup/schema_owner"), {"schema": schema})).fetchone()
    return None if row is None else str(row[0])


async def publication_owner(conn: Connection, publication: str) -> str | None:
    """Who owns a publication; None when there is none."""
    row = await (await conn.execute(text("setup/publication_owner"), {"publication": publication})).fetchone()
    return None if row is None else str(row[0])


async def hand_over(conn: Connection, schema: str, name: str) -> None:
    """Give a schema, and all that is in it, to a role.

    Raises:
        DatabaseRefused: we may not.
    """
    rows = await (await conn.execute(text("setup/hand_over"), {"schema": schema, "role": name})).fetchall()
    try:
        for (statement,) in rows:
            await conn.execute(sql.SQL(statement))
    except errors.InsufficientPrivilege as error:
        raise DatabaseRefused(
            f"The schema {schema} cannot be given to {name!r}: {error.diag.message_primary}.",
            hint="Run this as an administrator, or as the schema's owner who is a member of that role.",
        ) from None


async def act_as(conn: Connection, name: str | None) -> None:
    """Within the caller's transaction be this role from now on, or oneself again."""
    await conn.execute(compose("setup/act_as", role=sql.SQL("none") if name is None else sql.Identifier(name)))


async def embeddings(conn: Connection, name: str) -> list[Embedded]:
    """The declared embeddings, and what this role may do with their tables."""
    async with conn.cursor(row_factory=class_row(Embedded)) as cursor:
        await cursor.execute(text("setup/embedding_rights"), {"role": name})
        return await cursor.fetchall()


async def kept(conn: Connection) -> Kept:
    """How much goes with the schema of the state."""
    row = await (await conn.execute(text("setup/kept"))).fetchone()
    assert row is not None
    return Kept(*row)


async def targets(conn: Connection) -> list[str]:
    """Where the vectors of the declared embeddings are, for people."""
    return [target for (target,) in await (await conn.execute(text("setup/targets"))).fetchall()]


async def other_sources(conn: Connection, name: str) -> list[str]:
    """The sources but for this one that have their state there."""
    rows = await (await conn.execute(text("setup/other_sources"), {"name": name})).fetchall()
    return [each for (each,) in rows]


def statement(right: str, **parts: Part) -> str:
    """A statement of sql/queries, as SQL to run by hand."""
    return compose(right, **{part: _name(name) for part, name in parts.items()}).as_string()


def quoted(conn: Connection, name: str) -> str:
    """As SQL writes it."""
    return sql.Identifier(name).as_string(conn)


def _name(name: Part) -> sql.Composable:
    if isinstance(name, list):
        return sql.SQL(", ").join(map(sql.Identifier, name))
    return sql.Identifier(*name) if isinstance(name, tuple) else sql.Identifier(name)

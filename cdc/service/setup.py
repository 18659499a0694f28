"""`cdc setup`: everything that the service needs in a database, made by somebody who may, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cdc import discovery
from cdc.config import Settings
from cdc.embedding import declare
from cdc.errors import DatabaseRefused, ServerNotReady
from cdc.events.match import Registry, Table
from cdc.service import published
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.service.preflight import check_server
from cdc.store import checkpoints, embeddings, functions, json, publications, rights, server, targets
from cdc.store.connect import WATCHED, Connection, place
from cdc.store.hosts import Host, recognise
from cdc.store.migrate import SCHEMAS, Kind, migrate_on
from cdc.store.recording import Recording, recording
from cdc.store.rights import Embedded, Part
from cdc.wal import slot as replication


@dataclass(slots=True)
class Report:
    """What was made, what was there already, and what somebody else has to do; `statements` is the same as SQL."""

    made: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    def note(self, what: str, *, made: bool) -> None:
        """One thing that is there now."""
        (self.made if made else self.there).append(what)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to set up. `role`: for this role, made with what `password` answers; None: for the one that connects.

    `prune`: publish no more what nobody needs. `dry_run`: change nothing; the password stays a placeholder.
    """

    role: str | None = None
    password: Callable[[], str] = lambda: ""
    prune: bool = False
    dry_run: bool = False


async def set_up(settings: Settings, named: Named, wish: Wish) -> Report:
    """Make what is missing; all of it or nothing, but for the slot, which comes last.

    Raises:
        ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady, MigrationError: it cannot be made.
    """
    json.register()
    databases = Databases.of(settings, settings.watched_url).watching(named)
    report = Report()
    async with await recording(databases.watched, databases.setting) as conn:
        host = await recognise(conn, databases.watched)
        await _check(conn, host, databases)
        await publications.take_turns(conn)
        async with conn.transaction(force_rollback=wish.dry_run):
            made = _Setup(settings, databases, wish, host, conn, report)
            await made.role()
            await made.schema("source")
            await made.state()
            await made.publication()
            await made.rights_on_embedded()
        report.statements += ["begin", *conn.statements, "commit"]
        await _slot(databases, named, conn, report, dry_run=wish.dry_run)
    return report


class _Setup:
    """The steps, in their order, within the caller's transaction."""

    def __init__(
        self, settings: Settings, databases: Databases, wish: Wish, host: Host, conn: Recording, report: Report
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._role = wish.role
        self._wish = wish
        self._host = host
        self._conn = conn
        self._report = report
        self._registered: list[dict[str, Any]] = []

    async def role(self) -> None:
        """The role, what it needs to connect and replicate, and our membership in it, to give it things."""
        name = self._role
        if name is None:
            return
        known = await rights.role(self._conn, name)
        self._report.note(f"role {name}", made=known is None)
        if known is None:
            hashed = not self._wish.dry_run
            password = self._wish.password() if hashed else "choose a password"
            await rights.create_role(self._conn, name, password, self._host, hashed=hashed)
            known = await rights.role(self._conn, name)
            assert known is not None, "it was made just now"
        await self._right(known.may_login, f"{name} may log in", "setup/allow_login", role=name)
        self._report.note(f"{name} may replicate", made=not known.may_replicate)
        if not known.may_replicate:
            await rights.allow_replication(self._conn, name, self._host)
        database = self._conn.info.dbname
        await self._right(
            known.may_connect, f"{name} may connect to {database}", "setup/grant_connect", database=database, role=name
        )
        if not known.is_ours:
            await rights.give(self._conn, "setup/grant_membership", role=name)

    async def schema(self, kind: Kind) -> None:
        """One of our schemas, which belongs to the role with all that is in it."""
        name, role = SCHEMAS[kind], self._role
        owner = await rights.owner(self._conn, name)
        if role is not None and owner is None:
            await rights.give(self._conn, "setup/create_schema", schema=name, role=role)
        elif role is not None and owner != role:
            await rights.hand_over(self._conn, name, role)
        if role is not None:
            await rights.act_as(self._conn, role)
        changed = await migrate_on(self._conn, kind)
        if role is not None:
            await rights.act_as(self._conn, None)
        self._report.note(f"schema {name}", made=changed or (role is not None and owner != role))

    async def state(self) -> None:
        """The schema of the state, here or in a database of its own, and the functions that are registered in it."""
        if not self._databases.apart:
            await self.schema("state")
            _, self._registered = await functions.registered(self._conn)
            return
        async with await recording(self._databases.state, self._databases.state_setting) as conn:
            async with conn.transaction(force_rollback=self._wish.dry_run):
                changed = await migrate_on(conn, "state")
                _, self._registered = await functions.registered(conn)
            if changed:
                self._report.statements += [f"-- in {place(self._databases.state)}", *conn.statements, "-- end of that"]
        self._report.note(f"schema {SCHEMAS['state']} in {place(self._databases.state)}", made=changed)

    async def publication(self) -> None:
        """The publication with its tables; in the end it is the role's, which can take tables out of it."""
        conn, name, selection = self._conn, self._settings.publication, published.selection(self._settings)
        owner = await rights.publication_owner(conn, name)
        await publications.ensure(conn, name, selection)
        self._report.note(f"publication {name}", made=owner is None)
        for request in declare.parse(self._settings.embed if self._databases.setting == WATCHED else ""):
            await declare.declare(conn, request)
        wanted = await self._wanted()
        before = await publications.tables(conn, name)
        unpublished = await publications.publish(conn, name, wanted, selection, strict=True)
        dropped = await publications.prune(conn, name, wanted, selection) if self._wish.prune else []
        after = await publications.tables(conn, name)
        for table in sorted(after):
            self._report.note(f"table {'.'.join(table)} in it", made=table not in before)
        self._report.made += [f"table {'.'.join(table)} in it no more" for table in dropped]
        self._report.left += [f"{'.'.join(table)} does not exist yet" for table in sorted(unpublished.absent)]
        self._report.left += [f"{'.'.join(table)}: {reason}" for table, reason in sorted(unpublished.refused.items())]
        if self._role is not None and owner != self._role:
            await self._give_publication(self._role)

    async def rights_on_embedded(self) -> None:
        """What serving the declared embeddings takes."""
        conn = self._conn
        declared = await embeddings.layouts(conn)
        schema, available = await targets.pgvector(conn)
        if declared and schema is None and available:
            await targets.create_extension(conn)
            self._report.note("extension vector", made=True)
        if self._role is not None:
            for each in await rights.embeddings(conn, self._role):
                await self._rights_on(each, self._role)

    async def _wanted(self) -> frozenset[Table]:
        """The tables that functions name, those of other services and those in our folders, and embedded ones."""
        found = discovery.discover(discovery.search_path(self._settings.functions))
        definitions = [*self._registered, *(function.definition() for function in found.values())]
        declared = await embeddings.layouts(self._conn)
        embedded = frozenset((each.declaration.table_schema, each.declaration.table_name) for each in declared)
        return Registry.of(0, definitions, embedded).tables

    async def _give_publication(self, role: str) -> None:
        name = self._settings.publication
        try:
            async with self._conn.transaction():
                await rights.give(self._conn, "setup/own_publication", publication=name, role=role)
        except DatabaseRefused as refused:
            self._report.left.append(
                f"publication {name} is not {role}'s, so that only its owner can leave out columns later: {refused}"
            )
        else:
            self._report.note(f"publication {name} belongs to {role}", made=True)

    async def _rights_on(self, each: Embedded, role: str) -> None:
        table, target = (each.schema, each.table), (each.target_schema, each.target_table)
        source, into = ".".join(table), ".".join(target)
        await self._right(
            each.may_see, f"{role} may use schema {each.schema}", "setup/grant_schema", schema=each.schema, role=role
        )
        await self._right(each.may_read, f"{role} may read {source}", "setup/grant_select", table=table, role=role)
        if each.target_kind == "column" and not each.has_column:
            self._report.left.append(f"{source} has no column {each.target_column} yet, which its owner has to add")
        elif each.target_kind == "column":
            parts = {"column": each.target_column, "role": role}
            await self._right(
                each.may_write, f"{role} may write into {source}", "setup/grant_writing", table=table, **parts
            )
        elif each.has_table:
            await self._right(
                each.may_write, f"{role} may write into {into}", "setup/grant_vectors", table=target, role=role
            )
        else:
            schema = each.target_schema
            what = f"{role} may make tables in schema {schema}"
            await self._right(each.may_make, what, "setup/grant_making", schema=schema, role=role)
            if each.fk:
                what = f"{role} may refer to {source}"
                await self._right(
                    each.may_refer, what, "setup/grant_referring", table=table, key=each.key or [], role=role
                )

    async def _right(self, has: bool, what: str, right: str, **parts: Part) -> None:
        """Give a right that is missing."""
        self._report.note(what, made=not has)
        if not has:
            await rights.give(self._conn, right, **parts)


async def _check(conn: Connection, host: Host, databases: Databases) -> None:
    facts = await server.facts(conn)
    check_server(facts, place(databases.watched))
    if facts.wal_level != "logical":
        raise ServerNotReady(
            f"{place(databases.watched)} has wal_level = {facts.wal_level}.", hint=f"{host.name}: {host.wal_level}"
        )


async def _slot(databases: Databases, named: Named, conn: Connection, report: Report, *, dry_run: bool) -> None:
    """The slot, after the publication: it keeps WAL from now on. One that was there and is gone is not made anew."""
    if await server.slot(conn, named.slot) is not None:
        report.there.append(f"slot {named.slot}")
        return
    if dry_run:
        report.statements.append(f"select pg_create_logical_replication_slot('{named.slot}', 'pgoutput')")
        report.made.append(f"slot {named.slot}")
        return
    async with await databases.to_state() as state:
        if await checkpoints.current(state, named.name) is not None:
            report.left.append(f"slot {named.slot} was there and is gone: see 'cdc slot drop'")
            return
    try:
        await replication.create_slot(databases.watched, named.slot)
    except DatabaseRefused as refused:
        report.left.append(f"slot {named.slot}: the service makes it at its first start ({refused.message})")
    else:
        report.made.append(f"slot {named.slot}; the server keeps WAL for it until a service reads it")

"""Who runs the server, and how the same thing is done there: hosted Postgres has settings and roles of its own.

From the documentation of each host; none of them can be measured here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import psycopg.conninfo

from cdc.store.connect import Connection
from cdc.store.queries import text


@dataclass(frozen=True, slots=True)
class Host:
    """One way of running Postgres: sentences for people, each a thing to do.

    `wal_level`: switch logical decoding on. `replication`: the SQL that lets `{role}` (quoted) replicate. `slots`:
    have more slots and walsenders. `direct`: reach the server past its pooler. `takes_verifiers`: passwords of new
    roles may come hashed, so that they are in no log.
    """

    name: str
    wal_level: str
    replication: str
    slots: str
    direct: str
    takes_verifiers: bool = True

    def allow_replication(self, role: str) -> str:
        """The statement that lets this role, written as SQL writes a name, replicate."""
        return self.replication.format(role=role)


_ALTER = "ALTER ROLE {role} REPLICATION"

PLAIN = Host(
    "Postgres",
    wal_level="Run ALTER SYSTEM SET wal_level = logical; and restart the server.",
    replication=_ALTER,
    slots="Raise max_replication_slots and max_wal_senders with ALTER SYSTEM, and restart the server.",
    direct="Use the server's own host and port, not those of a pooler.",
)
NEON = Host(
    "Neon",
    wal_level="Switch on 'Logical replication' in the project's settings; it cannot be switched off again.",
    # Roles of the console, the CLI and the API have it from the start.
    replication=_ALTER,
    slots="Neon allows 10 of each: drop slots that are not needed (pg_replication_slots).",
    direct="Use the host without -pooler in its name.",
    takes_verifiers=False,
)
RDS = Host(
    "Amazon RDS",
    wal_level="Set rds.logical_replication = 1 in the parameter group of the instance (Aurora: of the cluster), and "
    "reboot.",
    replication="GRANT rds_replication TO {role}",
    slots="Raise max_replication_slots and max_wal_senders in the parameter group, and reboot.",
    direct="Use the endpoint of the instance or cluster, not that of RDS Proxy.",
)
SUPABASE = Host(
    "Supabase",
    wal_level="It is logical from the start; if not, ask Supabase's support.",
    replication=_ALTER,
    slots="Run: supabase postgres-config update --config max_replication_slots=... --config max_wal_senders=...",
    direct="Use db.<project>.supabase.co (IPv6, or with the IPv4 add-on), not pooler.supabase.com.",
)
CLOUD_SQL = Host(
    "Google Cloud SQL",
    wal_level="Set the flag cloudsql.logical_decoding = on; the instance restarts.",
    replication=_ALTER,
    slots="Raise the flags max_replication_slots and max_wal_senders; the instance restarts.",
    direct="Use the address of the instance, or the Cloud SQL Auth Proxy; not Managed Connection Pooling.",
)
AZURE = Host(
    "Azure Database for PostgreSQL",
    wal_level="Set the server parameter wal_level to LOGICAL, and restart.",
    replication=_ALTER,
    slots="Raise the server parameters max_replication_slots and max_wal_senders, and restart.",
    direct="Use port 5432; 6432 is the built-in PgBouncer.",
)

_ENDINGS = {
    ".neon.tech": NEON,
    ".rds.amazonaws.com": RDS,
    ".rds.amazonaws.com.cn": RDS,
    ".supabase.co": SUPABASE,
    ".supabase.com": SUPABASE,
    ".postgres.database.azure.com": AZURE,
}
_ROLES = {
    "neon_superuser": NEON,
    "rds_superuser": RDS,
    "supabase_admin": SUPABASE,
    "cloudsqlsuperuser": CLOUD_SQL,
    "azure_pg_admin": AZURE,
}


def recognised(url: str, roles: Collection[str] = ()) -> Host:
    """Whose server this is, from the host in its URL and the roles on it; `PLAIN` when neither is known.

    The roles say it, too, where the host has a name of one's own or is reached through a proxy.
    """
    host = str(psycopg.conninfo.conninfo_to_dict(url).get("host") or "").lower().rstrip(".")
    by_name = (known for ending, known in _ENDINGS.items() if host.endswith(ending))
    by_role = (known for role, known in _ROLES.items() if role in roles)
    return next(by_name, None) or next(by_role, PLAIN)


async def recognise(conn: Connection, url: str) -> Host:
    """Whose server this connection leads to."""
    rows = await (await conn.execute(text("server/known_roles"), {"roles": list(_ROLES)})).fetchall()
    return recognised(url, [role for (role,) in rows])

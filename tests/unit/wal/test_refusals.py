from __future__ import annotations

import psycopg
import pytest

from cdc.errors import CdcError, DatabaseRefused, DatabaseUnreachable, ServerNotReady
from cdc.wal.refusals import connection_refused


@pytest.mark.parametrize(
    ("said", "kind", "hint"),
    [
        ('FATAL:  password authentication failed for user "me"', DatabaseRefused, "URL"),
        ('FATAL:  role "me" is not permitted to log in', DatabaseRefused, "URL"),
        ('FATAL:  database "x" does not exist', DatabaseRefused, "URL"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', DatabaseRefused, "URL"),
        ("FATAL:  permission denied to start WAL sender", DatabaseRefused, "ALTER ROLE"),
        ("FATAL:  must be superuser or replication role to start walsender", DatabaseRefused, "ALTER ROLE"),
        ("FATAL:  unsupported startup parameter: replication", DatabaseRefused, "direct host"),
        ("FATAL:  number of requested standby connections exceeds max_wal_senders", ServerNotReady, "max_wal_senders"),
        ("FATAL:  the database system is starting up", DatabaseUnreachable, "server is up"),
        ("FATAL:  sorry, too many clients already", DatabaseUnreachable, "server is up"),
        ('connection to server at "10.0.0.1" failed: Connection refused', DatabaseUnreachable, "host and port"),
    ],
)
def test_a_failed_connection_says_what_to_do_next(said: str, kind: type[CdcError], hint: str) -> None:
    refusal = connection_refused(psycopg.OperationalError(f"connection failed:\n\t{said}\n"))
    assert type(refusal) is kind
    assert " ".join(said.split()) in refusal.message
    assert hint in refusal.hint

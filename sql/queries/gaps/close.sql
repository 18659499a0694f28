-- The next incarnation begins: the gap before it ends there. No row: there was none. Parameters: source, lsn.
update cdc_state.gaps set to_lsn = %(lsn)s::pg_lsn, to_at = now()
 where source = %(source)s and to_lsn is null
returning source, from_lsn::text, from_at, to_lsn::text, to_at, reason

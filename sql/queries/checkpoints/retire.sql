-- End the live incarnation of a source: its slot is gone on purpose. Parameters: name.
update cdc_state.sources set retired_at = now() where name = %(name)s and retired_at is null returning id

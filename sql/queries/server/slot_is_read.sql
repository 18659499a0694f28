-- Whether somebody reads from a slot. Parameters: slot.
select exists (select from pg_replication_slots where slot_name = %(slot)s and active)

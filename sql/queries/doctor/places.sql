-- Replication slots and walsenders: how many there may be, and how many are taken.
select current_setting('max_replication_slots')::integer as slots,
       (select count(*) from pg_replication_slots)::integer as slots_taken,
       current_setting('max_wal_senders')::integer as senders,
       (select count(*) from pg_stat_replication)::integer as senders_taken

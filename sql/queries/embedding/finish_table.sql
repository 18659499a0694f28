-- Give a new target table its constraints. Parts: target, key, fk (a reference to the source, or nothing).
-- Locks: with fk the source, in SHARE ROW EXCLUSIVE mode; the target is empty, so nothing is checked meanwhile.
alter table {target}
    alter embedding set not null,
    alter hash set not null,
    alter updated_at set not null,
    alter updated_at set default now(),
    add primary key ({key}) {fk}

-- Give a new table for chunks its constraints. Parts: target, key, fk (a reference to the source, or nothing).
-- A chunk that the provider refuses stands there without a vector, so that the text has no gap.
-- Locks: with fk the source, in SHARE ROW EXCLUSIVE mode; the target is empty, so nothing is checked meanwhile.
alter table {target}
    alter ordinal set not null,
    alter chunk set not null,
    alter hash set not null,
    alter updated_at set not null,
    alter updated_at set default now(),
    add primary key ({key}, ordinal) {fk}

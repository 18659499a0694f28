-- What the recordings beside this file were made from. Each .hex holds, one per line, the `data` of
-- pg_logical_slot_get_binary_changes('s', null, null, 'proto_version', '1', 'publication_names', 'p', 'messages', 'true')
-- of the server version it is named for. A statement that stands alone is a transaction of its own.

-- before the slot
create type mood as enum ('sad', 'happy');
create table plain (id bigint primary key, body text, n int);
create table whole (id int primary key, body text, big text);
alter table whole replica identity full;
create table parts (id int, region text, primary key (id, region)) partition by list (region);
create table parts_eu partition of parts for values in ('eu');
create table parts_us partition of parts for values in ('us');
create table feelings (id int primary key, feeling mood);
alter table plain alter column body set storage external;
alter table whole alter column big set storage external;
create publication p for table plain, whole, parts, feelings with (publish_via_partition_root = true);
-- make the slot here

-- inserts, and a savepoint that never was
begin;
insert into plain values (1, 'one', 10), (2, null, null);
savepoint s;
insert into plain values (99, 'never', 99);
rollback to s;
insert into plain values (3, 'three', 30);
commit;

-- an unchanged TOAST value, then a changed key, then a delete: default identity
insert into plain values (4, repeat('x', 2400), 40);
update plain set n = 41 where id = 4;
update plain set id = 5 where id = 4;
delete from plain where id = 5;

-- the same under REPLICA IDENTITY FULL
insert into whole values (1, 'a', repeat('y', 2400));
update whole set body = 'b' where id = 1;
delete from whole where id = 1;

-- partitions by their root
begin;
insert into parts values (1, 'eu'), (2, 'us'), (3, 'eu');
update parts set region = 'us' where id = 1;
commit;

-- a type of our own, and a table that changes shape within a transaction
begin;
insert into feelings values (1, 'happy');
alter table feelings add column why text default 'because';
insert into feelings values (2, 'sad', 'rain');
alter table feelings rename column why to reason;
update feelings set reason = 'sun' where id = 1;
commit;

-- messages
begin;
select pg_logical_emit_message(true, 'cdc', 'within');
insert into plain values (6, 'six', 60);
commit;
select pg_logical_emit_message(false, 'cdc', 'outside');

-- truncate
truncate plain, whole restart identity cascade;

-- an origin
select pg_replication_origin_create('elsewhere');
select pg_replication_origin_session_setup('elsewhere');
begin;
select pg_replication_origin_xact_setup('0/ABCDEF', '2026-01-02 03:04:05+00');
insert into plain values (7, 'seven', 70);
commit;
select pg_replication_origin_session_reset();
select pg_replication_origin_drop('elsewhere');

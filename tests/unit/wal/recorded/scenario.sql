-- What the recordings beside this file were made from, by `python -m tests.unit.wal.record`. Each .hex holds the messages
-- of the server version it is named for, one a line; story.json is what all of them amount to.
-- A statement that stands alone is a transaction of its own, and ends with its line.

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
create schema "Odd schema";
create table "Odd schema"."T""1" ("Id" int primary key, "where" text, "ä" text);
create table by_index (id int, code text not null, n int);
create unique index by_code on by_index (code);
alter table by_index replica identity using index by_code;
create table keyless (id int);
alter table keyless replica identity nothing;
create table doomed (id int primary key);
create type point_3d as (x int, y int, label text);
create domain positive as int check (value > 0);
create table kinds (
    id int primary key, small smallint, big bigint, flag boolean, real_ real, double_ double precision, exact numeric,
    char_ char(4), varchar_ varchar(9), bytes bytea, uuid_ uuid, date_ date, time_ time, timetz_ timetz, ts timestamp,
    tstz timestamptz, span interval, json_ json, jsonb_ jsonb, ints int[], texts text[], moods mood[], mood mood,
    positive positive, point_3d point_3d, range_ int4range, multirange_ int4multirange, address inet, network cidr,
    mac macaddr, point_ point, box_ box, bits bit(5), varbits varbit, search tsvector, lsn pg_lsn, money_ numeric(9, 2),
    twice int generated always as (small * 2) stored);
create publication p for table plain, whole, parts, feelings, "Odd schema"."T""1", by_index, doomed, kinds
    with (publish_via_partition_root = true);
create publication p_inserts for table keyless with (publish = 'insert');
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

-- names that need quotes
insert into "Odd schema"."T""1" values (1, 'here', 'ö');

-- an identity by an index, none at all, and a table that is gone before its changes are read
insert into by_index values (1, 'a', 1);
update by_index set code = 'b' where id = 1;
delete from by_index where id = 1;
insert into keyless values (1);
insert into doomed values (1);
drop table doomed;

-- values of many types
insert into kinds values (
    1, -32768, 9223372036854775807, true, 1.5, 0.1, 1234.500, 'ab', 'cde', '\x00ff', '8ecb5b4e-7a43-4f77-9e4e-0c4b6de1a1b2',
    '2026-01-02', '24:00:00', '12:34:56.789+02', '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05.678901+00',
    'P1Y2M3DT4H5M6.7S', '{"a": 1, "a": 2}', '{"b": [1e3, null]}', '{{1,null},{3,4}}', '{"a,b","NULL",NULL,"\"q\""}',
    '{sad,happy}', 'sad', 7, '(1,,"a ""b""")', '[1,5)', '{[1,3),[5,7)}', '10.0.0.1/8', '10.0.0.0/8',
    '08:00:2b:01:02:03', '(1,2)', '(3,4),(1,2)', b'10101', b'101', 'a:1 b:2', '16/B374D848', 12.30);
insert into kinds (id, real_, double_, exact, date_, ts, tstz, ints, range_, flag)
    values (2, 'NaN', '-Infinity', 'NaN', 'infinity', '0044-03-15 12:00:00 BC', '-infinity', '{}', 'empty', false);
insert into kinds (id) values (3);

-- a column that changes its type
begin;
insert into plain values (8, 'eight', 80);
alter table plain alter column n type text;
insert into plain values (9, 'nine', 'ninety');
alter table plain drop column body;
update plain set n = 'more' where id = 9;
delete from plain where id = 8;
commit;
alter table plain add column body text;
alter table plain alter column n type int using 1;

-- messages
begin;
select pg_logical_emit_message(true, 'cdc', 'within');
insert into plain values (6, 60, 'six');
commit;
select pg_logical_emit_message(false, 'cdc', 'outside');

-- truncate
truncate plain, whole restart identity cascade;

-- an origin
select pg_replication_origin_create('elsewhere');
select pg_replication_origin_session_setup('elsewhere');
begin;
select pg_replication_origin_xact_setup('0/ABCDEF', '2026-01-02 03:04:05+00');
insert into plain values (7, 70, 'seven');
commit;
select pg_replication_origin_session_reset();
select pg_replication_origin_drop('elsewhere');

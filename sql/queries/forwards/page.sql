-- The next row events of a source, in the order of their changes: as many as have so many bytes as they are stored, and
-- one at least. Ids of row changes are made from their positions, and no position comes before one that was accepted, so
-- the primary key gives them in order and none is passed. Parameters: source_id, from (an id), until (the id that is not
-- theirs any more), limit, bytes.
select id::text, name, data::text, (extract(epoch from ts) * 1000)::bigint, accepted_at
  from (select id, name, data, ts, accepted_at, sum(pg_column_size(data)) over (order by id) as bytes,
               row_number() over (order by id) as number
          from (select id, name, data, ts, accepted_at
                  from cdc_state.events
                 where id >= %(from)s and id < %(until)s
                   and source_id = %(source_id)s and name like 'db/%%' and edited_from is null
                 order by id
                 limit %(limit)s) as next) as sized
 where bytes <= %(bytes)s or number = 1
 order by id

-- How many row events of a source wait to be sent on, counted to a limit, and for how many seconds the oldest has.
-- Parameters: source_id, from, until (as forwards/page), limit.
select count(*), coalesce(extract(epoch from now() - min(accepted_at)), 0)::float8
  from (select accepted_at
          from cdc_state.events
         where id >= %(from)s and id < %(until)s
           and source_id = %(source_id)s and name like 'db/%%' and edited_from is null
         order by id
         limit %(limit)s) as waiting

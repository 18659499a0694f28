-- How many lines of these runs are kept, by their places; lines of steps' bodies have none. Parameters: ids.
select run_id::text, place, count(*)
  from cdc_state.logs
 where run_id = any (%(ids)s::uuid[]) and place is not null
 group by run_id, place

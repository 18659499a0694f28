-- Record what was measured in this minute; of several services the last one counts.
-- Parameters: arrays whats, names, values. Locks: the rows in the order of their key.
insert into cdc_state.gauges as g (what, name, at, value)
select n.what, n.name, date_trunc('minute', now()), n.value
  from unnest(%(whats)s::text[], %(names)s::text[], %(values)s::float8[]) as n (what, name, value)
 order by n.what collate "C", n.name collate "C"
on conflict (what, name, at) do update set value = excluded.value

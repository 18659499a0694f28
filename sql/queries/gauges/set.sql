-- Record what was measured in this minute; of several services the last one counts. Of the hour the greatest value stays.
-- Parameters: arrays whats, names, values. Locks: the rows in the order of their key.
insert into cdc_state.gauges as g (width, what, name, at, value)
select w.width, n.what, n.name, date_bin(make_interval(secs => w.width), now(), 'epoch'::timestamptz), n.value
  from unnest(%(whats)s::text[], %(names)s::text[], %(values)s::float8[]) as n (what, name, value)
 cross join (values (60), (3600)) as w (width)
 order by w.width, n.what collate "C", n.name collate "C"
on conflict (width, what, name, at) do update
   set value = case g.width when 60 then excluded.value else greatest(g.value, excluded.value) end

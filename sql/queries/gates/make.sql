-- Make the gates that are not there yet. Parameters: names. Locks: those it makes, in order.
insert into cdc_state.gates (name) select unnest(%(names)s::text[]) collate "C" as name order by name
on conflict (name) do nothing

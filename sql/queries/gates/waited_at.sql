-- Which functions have runs that stand at these gates. Parameters: names. Locks: none.
select n.gate, f.id
  from unnest(%(names)s::text[]) as n (gate)
  join cdc_state.functions f
    on exists (select from cdc_state.runs r where r.held_at = n.gate and r.function_id = f.id)

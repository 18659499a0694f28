-- Note at locked gates whether somebody has the turn. Parameters: arrays names, takens.
update cdc_state.gates g set taken = n.taken
  from unnest(%(names)s::text[], %(takens)s::integer[]) as n (name, taken)
 where g.name = n.name

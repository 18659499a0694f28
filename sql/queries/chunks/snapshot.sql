-- Which transactions the caller's transaction sees: xmin:xmax:xip_list.
select pg_current_snapshot()::text

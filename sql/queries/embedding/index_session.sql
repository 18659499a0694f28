-- Ready a session for making an index: no limit on time, and as much memory as is needed and allowed, never less than
-- the server gives anyway. Parameters: needed, most (both bytes).
select set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
       set_config('maintenance_work_mem',
                  greatest(pg_size_bytes(current_setting('maintenance_work_mem')),
                           least(%(needed)s::bigint, pg_size_bytes(%(most)s))) / 1024 || 'kB', false)

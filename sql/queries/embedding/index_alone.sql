-- Make indexes in this session without parallel workers, which share memory that a container may not have.
select set_config('max_parallel_maintenance_workers', '0', false)

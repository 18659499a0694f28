-- Let a role read a table. Parameters: {table}, {role}.
grant select on {table} to {role}

-- Let a role keep vectors in a table that somebody else made. Parameters: {table}, {role}.
grant select, insert, update, delete on {table} to {role}

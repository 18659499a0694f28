-- Let a role make a foreign key to a table. Parameters: {table}, {key}, {role}.
grant references, update ({key}) on {table} to {role}

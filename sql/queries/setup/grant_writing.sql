-- Let a role write vectors into a column. Parameters: {column}, {table}, {role}.
grant update ({column}) on {table} to {role}

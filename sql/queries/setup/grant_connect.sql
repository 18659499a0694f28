-- Let a role connect to this database. Parameters: {database}, {role}.
grant connect on database {database} to {role}

-- Let a role use what is in a schema. Parameters: {schema}, {role}.
grant usage on schema {schema} to {role}

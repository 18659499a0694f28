-- Let a role make tables in a schema. Parameters: {schema}, {role}.
grant usage, create on schema {schema} to {role}

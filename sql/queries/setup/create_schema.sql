-- Make a schema for a role, so that the role itself needs no right to make any. Parameters: {schema}, {role}.
create schema {schema} authorization {role}

-- Make the schema that holds one kind of migrations. Parameters: {schema}.
create schema if not exists {schema}

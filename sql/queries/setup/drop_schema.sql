-- Drop one of our schemas with all that is in it. Parameters: {schema}.
drop schema {schema} cascade

-- An empty publication; tables come one by one, never FOR ALL TABLES, which makes UPDATE fail on tables without a key.
-- Parameters: {publication}.
create publication {publication}

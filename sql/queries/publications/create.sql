-- An empty publication; tables come one by one, never FOR ALL TABLES, which makes UPDATE fail on tables without a key.
-- Rows of partitions come under the name of the table that was declared, or under their own.
-- Parameters: {publication}, {by_root}.
create publication {publication} with (publish_via_partition_root = {by_root})

-- Which branch of a Neon project this is: branches share one system identifier. Null elsewhere.
select nullif(current_setting('neon.timeline_id', true), '')

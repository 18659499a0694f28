-- Remove an index while others read and write its table. Parts: {index} (with its schema).
drop index concurrently if exists {index}

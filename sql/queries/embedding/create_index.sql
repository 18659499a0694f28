-- Make the index of a target while others read and write it. Parts: {index}, and cdc/store/parts.py.
-- Locks: SHARE UPDATE EXCLUSIVE on the target; it waits for the transactions that are open.
create index concurrently {index} on {target} using {access} ({column} {opclass})

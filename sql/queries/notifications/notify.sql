-- Tell every service. Parameters: message. A notification is a commit of its own; nobody loses anything with it, so it
-- does not wait for the disk.
select set_config('synchronous_commit', 'off', true), pg_notify('cdc', %(message)s)

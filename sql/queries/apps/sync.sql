-- Write what an app told of itself; its id comes back, and whether it told something else before. Parameters: name,
-- url (null: it connects by itself), sdk, framework, version, checksum. Locks: the registry row is held.
with before as (select checksum from cdc_state.apps where name = %(name)s)
insert into cdc_state.apps as a (name, url, sdk, framework, version, checksum, synced_at, tried_at)
values (%(name)s, %(url)s, %(sdk)s, %(framework)s, %(version)s, %(checksum)s, now(), now())
on conflict (name) do update
   set url = excluded.url, sdk = excluded.sdk, framework = excluded.framework, version = excluded.version,
       checksum = excluded.checksum, synced_at = now(), tried_at = now(), error = null
returning id, checksum is distinct from (select checksum from before)

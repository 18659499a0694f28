-- Have an origin with endpoints as an app, once. Parameters: name, url. Locks: the registry row is held.
insert into cdc_state.apps (name, url, framework, synced_at, tried_at)
values (%(name)s, %(url)s, 'endpoints', now(), now())
on conflict do nothing

-- Note that an app told again what it had told before; nothing where it tells something else, or another row has to
-- become it. Its row is not written more than once a minute. Parameters: name, checksum, known (an id or null).
with same as (
    select a.id, a.error is not null or a.tried_at is null or a.synced_at < now() - interval '1 minute' as is_news
      from cdc_state.apps a
     where a.name = %(name)s and a.checksum = %(checksum)s
       and not exists (select from cdc_state.apps k where k.id = %(known)s::integer and k.name is null)
), noted as (
    update cdc_state.apps set synced_at = now(), tried_at = now(), error = null
     where id = (select id from same where is_news)
)
select id from same

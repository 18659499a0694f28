-- Tell every service of what was published, part by part in this order. Parameters: parts, texts of less than 8000 bytes.
-- Nothing of it is kept, so it does not wait for the disk.
select set_config('synchronous_commit', 'off', true), pg_notify('cdc_realtime', part.text)
from unnest(%(parts)s::text[]) with ordinality as part (text, number)
order by part.number

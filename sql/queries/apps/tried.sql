-- How it went when an app was asked; without a row it is another app's by now. Parameters: id.
select name, error, tried_at is not null, synced_at is not null from cdc_state.apps where id = %(id)s

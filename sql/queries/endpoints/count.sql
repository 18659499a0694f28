-- How many functions an app has in force. Parameters: app.
select count(*) from cdc_state.functions where app = %(app)s and archived_at is null

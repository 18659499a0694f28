-- Let the server end this session when its client falls silent inside a transaction, whose locks would stay for hours.
-- Parameters: milliseconds (text).
select set_config('idle_in_transaction_session_timeout', %(milliseconds)s, false)

-- Give up waiting for a lock after this time, until the transaction ends. Parameters: timeout, such as 500ms.
select set_config('lock_timeout', %(timeout)s, true)

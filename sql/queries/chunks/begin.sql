-- All that the caller's transaction reads is of one moment.
set transaction isolation level repeatable read read only

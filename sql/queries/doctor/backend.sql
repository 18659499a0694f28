-- The server process that really answers.
select pg_backend_pid()

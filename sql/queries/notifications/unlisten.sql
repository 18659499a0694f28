-- Be told no more: a pooler would keep the server's session listening.
unlisten cdc

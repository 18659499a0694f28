"""Bytes in, transactions out: the replication protocol and pgoutput."""

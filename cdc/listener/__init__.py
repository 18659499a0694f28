"""The loop from WAL to accepted events, and the translation of changes into events."""

"""Runs that begin in an HTTP endpoint of an app: JavaScript calls them durable endpoints (protocol section 6)."""

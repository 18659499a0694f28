"""Apps that connect by themselves: workers behind a firewall keep a WebSocket open, and calls go over it."""

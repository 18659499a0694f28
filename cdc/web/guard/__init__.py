"""Who may do what over HTTP, how much of it, and from where."""

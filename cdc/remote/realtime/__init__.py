"""Messages from functions to whoever watches: published to a topic of a channel, told at once, kept nowhere."""

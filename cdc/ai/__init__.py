"""Models of other people's: asking them, and what an answer cost."""

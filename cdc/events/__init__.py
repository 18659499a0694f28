"""Which functions an event starts, and the one door by which events enter."""

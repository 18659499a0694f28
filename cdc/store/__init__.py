"""The only place that executes sql/."""

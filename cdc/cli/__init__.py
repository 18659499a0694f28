"""The commands of `cdc`."""

"""Composition root: builds every part, starts in order, stops in reverse."""

"""Declared embeddings: models, targets and search. What functions/auto_embed stands on."""

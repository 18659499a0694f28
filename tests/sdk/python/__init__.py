"""An app written with the SDK for Python: the same functions as ../node has."""

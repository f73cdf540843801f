"""The engine that runs a model over a pool."""

"""Base models, adapters and the training loop."""

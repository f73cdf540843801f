"""The `train_adapter` step."""

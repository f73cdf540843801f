"""The `evaluate_adapter` step."""

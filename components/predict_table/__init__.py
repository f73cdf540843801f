"""The `predict_table` step."""

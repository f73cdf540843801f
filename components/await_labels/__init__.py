"""The `await_labels` step."""

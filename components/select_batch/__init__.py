"""The `select_batch` step."""

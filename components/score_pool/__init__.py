"""The `score_pool` step."""

"""The `ingest_pool` step."""

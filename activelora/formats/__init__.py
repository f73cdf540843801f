"""Files of tables, whoever made them, as rows: one reader for the pool, the holdout, the inbox and imports."""

"""MLflow, plots and the report."""

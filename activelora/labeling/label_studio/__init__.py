"""Labels from people who work in Label Studio."""

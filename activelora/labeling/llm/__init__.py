"""A model as annotator."""

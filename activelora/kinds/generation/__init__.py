"""A text that the model writes itself."""

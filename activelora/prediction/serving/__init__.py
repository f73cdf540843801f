"""A small HTTP server around a predicting model."""

"""The steps of a round, one folder each."""

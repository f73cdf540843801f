"""The graphs that are compiled: round, tick, campaign, and where their tasks run."""

"""Measurements, each with the command that repeats it. Results of the last run are in `results/`."""

"""Numbers about predictions: accuracy, calibration, intervals, learning curves, gates."""

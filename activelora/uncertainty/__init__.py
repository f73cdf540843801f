"""Weight samples, measures, dynamic mixing and calibration: tensors in, tensors out."""

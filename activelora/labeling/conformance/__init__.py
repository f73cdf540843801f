"""What every label source must do, as checks that its own tests run: see :mod:`.checks`."""

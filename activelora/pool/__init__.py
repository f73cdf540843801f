"""Where pool and holdout items come from: readers, splitting, the demo source."""

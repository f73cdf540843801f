"""Which of an item's two answers is better."""

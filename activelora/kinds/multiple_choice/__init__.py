"""One of the item's own choices."""

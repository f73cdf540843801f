"""One of a fixed list of labels."""

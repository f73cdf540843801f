"""Query strategies, one file each, all with one signature."""

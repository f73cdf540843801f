"""plan: what is due in a campaign now, told to the graph."""

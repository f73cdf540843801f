"""A round's model in use: as a folder of its own, loaded, and answering rows of any table."""

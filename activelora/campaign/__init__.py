"""The campaign on storage: where it lives, what is done, what is next."""

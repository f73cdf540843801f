"""The same campaign under several strategies, adapters and seeds, in processes of their own."""

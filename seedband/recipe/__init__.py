"""The recipe: seedband.toml as checked sections, what identifies it, and where its files are."""

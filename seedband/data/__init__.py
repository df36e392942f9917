"""Data: from files to items."""

"""Storage: files that are written whole or not at all, locks, and records that are checked where they are read."""

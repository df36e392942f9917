"""Models: bases and checkpoints, on disk and in memory."""

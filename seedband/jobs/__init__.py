"""Jobs: work in pinned processes of their own."""

"""Determinism: seeds and their streams, what is pinned, the witnesses that prove it, and processes of their own."""

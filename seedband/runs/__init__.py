"""Runs: what a sweep leaves on disk."""

"""Kinds of jobs: each a record of what to do, and what does it."""

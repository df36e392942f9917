"""Evaluators of other libraries and of the user."""

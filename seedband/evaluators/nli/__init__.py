"""Evaluators that ask a model of natural language inference."""

"""check: from candidates to a verdict."""

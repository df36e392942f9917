"""Score files: from scores that were made elsewhere to a band or a verdict."""

"""sweep: from a recipe to runs, from runs to a band."""

"""Judge: a language model behind an HTTP endpoint that grades texts by a rubric; what it says is kept on disk."""

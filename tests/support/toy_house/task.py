"""A task: texts are read in capitals."""

from dataclasses import replace

from seedband.tasks.text_classification import TextClassification


class Loud(TextClassification):
    """Text classification that shouts."""

    name = "loud-text"
    pipeline = "text-classification"

    def encode(self, items, scoring, reader=None):
        """Every text in capitals."""
        return super().encode(replace(items, inputs=tuple(text.upper() for text in items.inputs)), scoring, reader)

    def recognise(self, survey, said, *, generates):
        """Never by itself."""
        return

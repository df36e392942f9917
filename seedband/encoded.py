"""Encoded rows: what was cut from them."""

from dataclasses import dataclass

from seedband.counts import counted, plural


@dataclass(frozen=True)
class Truncation:
    """What was left out of some rows to keep within `[model] max_length`.

    A language model's rows are counted as a prompt with its completion: so they are learnt, and so the likelihood of a
    reference is found. It answers the prompt alone, which is counted in `questions`.

    Attributes:
        rows: Rows that were cut.
        tokens: Tokens that they lost, all together.
        prompts: Rows among them of whose prompt one token remains, or none.
        completions: Rows among them whose completion lost its end.
        questions: Rows among them whose prompt is too long by itself, so that its start was missing when it was
            answered.
    """

    rows: int = 0
    tokens: int = 0
    prompts: int = 0
    completions: int = 0
    questions: int = 0

    def in_words(self, what: str, n_rows: int, max_length: int) -> str:
        """What was cut, on one line; empty when nothing was.

        Examples:
            >>> Truncation(3, 40).in_words("eval", 90, 64)
            'eval: 3 of 90 rows were cut to model.max_length = 64, by 40 tokens in all'
        """
        if not self.rows:
            return ""
        limit = f"model.max_length = {max_length}"
        told = f"{what}: {self.rows} of {counted(n_rows, 'row')} {plural(self.rows, 'was', 'were')} cut to {limit}"
        told += f", by {counted(self.tokens, 'token')} in all"
        told += f"; {self.prompts} lost all of the prompt but a token at most" if self.prompts else ""
        told += f"; {self.completions} lost the end of the completion" if self.completions else ""
        return told + (f"; {self.questions} answered without the start of the prompt" if self.questions else "")

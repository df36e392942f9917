"""How SQuAD evens out a text (Rajpurkar et al. 2016, evaluate-v1.1.py): what exact_match and token_f1 compare."""

import re
import string

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without punctuation, English articles and spaces too many.

    Examples:
        >>> normalised("The  Customer's order, an ORDER!")
        'customers order order'
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())

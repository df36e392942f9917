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


def evened(text: str, reference: str) -> tuple[str, str]:
    """Text and reference in the form in which they are compared.

    Where normalising leaves nothing of the reference, as of "A" or "?", saying nothing would be the answer: then case
    and the spaces around them alone are evened out.

    Examples:
        >>> evened("the order", "An order.")
        ('order', 'order')
        >>> evened("", "A")
        ('', 'a')
    """
    plain = normalised(reference)
    return (normalised(text), plain) if plain else (text.strip().casefold(), reference.strip().casefold())

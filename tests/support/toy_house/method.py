"""A method: heads, one a job."""

from seedband.trainers.head import Head


class OneHead(Head):
    """A head that is trained alone."""

    name = "one-head"
    max_group = 1

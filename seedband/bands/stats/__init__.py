"""Statistics of the gate: pure functions over numpy and scipy.special.

Everything here is one-sided ("worse") and expects scores oriented so that higher is better.
"""

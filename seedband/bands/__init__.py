"""Bands: the gate. What scores of seeds allow, what a band says of candidates, and what makes two scores comparable."""

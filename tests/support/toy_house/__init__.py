"""A package of somebody else's: a kind of everything that seedband lets others add, one file each."""

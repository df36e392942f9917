"""The training loop: everything that happens between a drawn network and its checkpoint."""

"""init: from data and a model to seedband.toml."""

"""Commands: what each command does, returning records; nothing here prints."""

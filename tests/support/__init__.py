"""What several tests need; importable as ``support`` (pytest's pythonpath is tests/)."""

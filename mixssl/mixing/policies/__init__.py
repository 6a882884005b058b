"""Predefined policies: two images become one by a fixed rule, with a random partner in the batch."""

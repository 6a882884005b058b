"""Data sets and transforms that mmpretrain lacks."""

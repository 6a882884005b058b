"""Necks: from feature maps to embeddings and masks."""

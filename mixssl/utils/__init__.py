"""What several parts need and no part owns."""

"""Pictures of mixtures, features and runs."""

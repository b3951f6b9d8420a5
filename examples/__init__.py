"""Programs as a merchant would write them: they know the API and nothing else."""

"""What the tools share: experiments, benchmarks, demos, and the reports of all three."""

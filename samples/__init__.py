"""Made-up audio works and themes, for the starter package, the benchmarks and the demo shop."""

"""The arithmetic of the benchmarks, and that what they send is what everybody understands."""

The demo (`--demo`, `make run`) has a simulated upstream of every api_type, those that are paid by a login included.

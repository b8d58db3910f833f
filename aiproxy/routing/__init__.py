"""Which upstream is asked next, and what follows from its failure: pure rules, no clock."""

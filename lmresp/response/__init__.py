"""From the three strands to the call of each visit, and from calls to the best response of each subject (pure)."""

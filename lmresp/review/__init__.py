"""The reading room: worklist, scan page and scorecard form for the readers of a study, served on this machine."""

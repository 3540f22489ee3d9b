"""The imaging strand: measurement of scans, and the scorecard that turns reads and drafts into one status per visit."""

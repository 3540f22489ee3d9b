"""The imaging strand: measurement of scans, and the scorecard that turns findings and reads into one status per visit."""

"""Training runs: one folder each, written so that a killed run can go on."""

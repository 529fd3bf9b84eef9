"""What runs the cells of a suite: processes of this machine, or Ray."""

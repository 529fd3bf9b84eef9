"""Language models as networks: what is trained of them, their heads, and how whole sequences go through them."""

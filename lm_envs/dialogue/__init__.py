"""``Dialogue-v0``: conversations in which the agent writes its turns and a partner answers them."""

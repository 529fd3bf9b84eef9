"""What people, or rewards in their place, say about completions: items, answers, and what models learn from."""

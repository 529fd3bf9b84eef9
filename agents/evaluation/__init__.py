"""How good a policy is: completions of held-out prompts, and what is measured on them."""

from agents.evaluation.generation import Completion, complete
from agents.evaluation.metrics import Evaluation, evaluate

__all__ = ["Completion", "Evaluation", "complete", "evaluate"]

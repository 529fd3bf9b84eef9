"""How good a policy, or an agent that speaks text, is: held-out episodes, and what is measured on them."""

from agents.evaluation.conversations import converse
from agents.evaluation.generation import Completion, complete
from agents.evaluation.metrics import Evaluation, evaluate, evaluate_agent
from agents.evaluation.text_agents import import_agent

__all__ = ["Completion", "Evaluation", "complete", "converse", "evaluate", "evaluate_agent", "import_agent"]

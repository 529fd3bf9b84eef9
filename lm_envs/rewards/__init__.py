"""Rewards: functions from prompts and completions to numbers, their names, and weighted sums of them.

A reward is any callable ``reward(prompts: list[str], completions: list[str], **columns) -> list[float]``, so
a function written for TRL works unchanged. ``names()`` lists those that come with the package. Attributes of the
callable tell when it is paid: ``per_step = True``, at every step; ``per_turn = True``, after each turn of the agent in
a conversation; ``partial = False``, at the end even with shaping, because it cannot score a completion that is not
finished (``partial = True``: it can, though it is ``async``).
"""

from lm_envs.rewards.answer_form import AnswerFormat, Brevity
from lm_envs.rewards.answers import ExactMatch, Regex, TokenF1
from lm_envs.rewards.asked_again import AskedAgain
from lm_envs.rewards.choices import ChoiceAccuracy
from lm_envs.rewards.combination import RewardBatch, RewardSum, RewardTerm
from lm_envs.rewards.cross_entropy import CrossEntropy
from lm_envs.rewards.dialogue_goals import GoalSuccess, PartnerScore, Politeness, SlotsFilled
from lm_envs.rewards.dialogue_turns import NonRepetition, TurnCost, UserSentiment
from lm_envs.rewards.entities import EntityF1, TokenAccuracy
from lm_envs.rewards.evidence import SupportingSentence
from lm_envs.rewards.fluency import Fluency
from lm_envs.rewards.grammar import Grammar
from lm_envs.rewards.keywords import Keywords
from lm_envs.rewards.numeric import NumericMatch
from lm_envs.rewards.overlap import Bleu, ChrF, Rouge, Ter
from lm_envs.rewards.registry import get, names, register, registered
from lm_envs.rewards.relevance import Relevance
from lm_envs.rewards.remote import RemoteReward
from lm_envs.rewards.reward_model import RewardModel
from lm_envs.rewards.sentiment import Sentiment
from lm_envs.rewards.shape import Distinct, Length, Repetition
from lm_envs.rewards.source import Coverage, Faithfulness
from lm_envs.rewards.specification import make_reward
from lm_envs.rewards.verifier import Verifier

__all__ = [
    "AnswerFormat",
    "AskedAgain",
    "Bleu",
    "Brevity",
    "ChoiceAccuracy",
    "ChrF",
    "Coverage",
    "CrossEntropy",
    "Distinct",
    "EntityF1",
    "ExactMatch",
    "Faithfulness",
    "Fluency",
    "GoalSuccess",
    "Grammar",
    "Keywords",
    "Length",
    "NonRepetition",
    "NumericMatch",
    "PartnerScore",
    "Politeness",
    "Regex",
    "Relevance",
    "RemoteReward",
    "Repetition",
    "RewardBatch",
    "RewardModel",
    "RewardSum",
    "RewardTerm",
    "Rouge",
    "Sentiment",
    "SlotsFilled",
    "SupportingSentence",
    "Ter",
    "TokenAccuracy",
    "TokenF1",
    "TurnCost",
    "UserSentiment",
    "Verifier",
    "get",
    "make_reward",
    "names",
    "register",
    "registered",
]

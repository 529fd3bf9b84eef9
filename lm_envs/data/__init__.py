"""The user's own data: lists, files and data sets with a column of prompts or of dialogues."""

from lm_envs.data.dataset import PromptDataset
from lm_envs.data.dialogues import load_dialogues
from lm_envs.data.loading import load_dataset

__all__ = ["PromptDataset", "load_dataset", "load_dialogues"]

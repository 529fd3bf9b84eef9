"""``QA-v0``: questions with answers that can be checked. The vector version is in ``vector_env``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.qa.config import QAConfig
from lm_envs.qa.episodes import QAEpisodes
from lm_envs.token_env import TokenEnv


class QAEnv(TokenEnv):
    """Answer a question, and be told whether the answer is right.

    ## Description
    Question answering with verifiable rewards [1, 2]. The state is the question and what the agent has written of its
    answer; an action is the next token. Or, with `actions="choice"`, an action is the number of one of the question's
    choices, and an episode is one step: a contextual bandit.

    `dataset` says where questions come from; `lm_envs.qa.sources.names()` lists the names. `passages` (the default)
    is reading comprehension on the small world, with short answers, some of them "unknown".

    `gym.make_vec("QA-v0", num_envs=64)` makes `QAVectorEnv`: the same episodes in one pair of arrays.

    ## Observation Space
    `Dict` of arrays with Hugging Face's names; `L = max_prompt_tokens + max_new_tokens`, or `max_prompt_tokens` with
    `actions="choice"`:

    | Key              | Type             | Range                | Meaning                                         |
    |------------------|------------------|----------------------|-------------------------------------------------|
    | `input_ids`      | `Box(L,)` int32  | 0 to vocab_size - 1  | question, answer so far, then padding           |
    | `attention_mask` | `Box(L,)` int8   | 0 or 1               | 1 for a token, 0 for padding                    |
    | `action_mask`    | `Box(n,)` int8   | 0 or 1               | 1 for a legal action                            |

    `action_mask` is there only with `actions="choice"` or `constrain=True`. Padding is on the right, so an observation
    extends the one before it.

    ## Action Space
    `actions="tokens"`: `Discrete(vocab_size)`, the id of the next token. With `constrain=True` only tokens are legal
    that go on with one of the question's choices, and the end of the text after a whole choice. `actions="choice"`:
    `Discrete(max_choices)`; numbers beyond a question's choices are illegal.

    `action_masks()` tells which actions are legal now. An illegal action raises nothing, as agents that explore at
    random take some: an illegal token is appended, and nothing but the end of the text is legal after it; an illegal
    choice is an empty answer.

    ## Rewards
    0 until the episode ends; then the value of `reward` for (prompt, completion); default: the data set's. Rewards can
    read the columns `reference` (the gold answers), `extracted` (the answer that was read from the completion),
    `choices`, `prompt_ids`, `completion_ids`, and what the data set brings. `info["reward_terms"]` names the terms;
    they sum to the episode's return. With `shaping=True` the reward is paid as it grows, as in `TextGen-v0`.

    ## Starting State
    A question drawn uniformly, with replacement, from the chosen split, by `np_random`. `reset(options={"index": i})`
    starts with question `i` instead (`{"indices": [...]}` in the vector environment). Of a prompt longer than
    `max_prompt_tokens` the end is kept, and the begin-of-text token where the tokenizer sets one. With `group_size`
    above 1 each question that is drawn is handed out so many times in a row, as in `TextGen-v0`.

    ## Episode End
    `terminated` is True, and `info["stop_reason"]` tells why, when the agent

    - chooses an end-of-text token: `"eos"`;
    - completes a stop string: `"stop"`;
    - has used up its `max_new_tokens`: `"max_new_tokens"`;
    - has chosen, with `actions="choice"`: `"choice"`.

    All are part of the task; `truncated` is always False.

    ## Information
    Empty until the episode ends; then

    | Key             | Type             | Meaning                                                           |
    |-----------------|------------------|-------------------------------------------------------------------|
    | `prompt`        | str              | the whole prompt, even where the observation holds only its end   |
    | `completion`    | str              | the generated text, or the text of the choice                     |
    | `answer`        | str              | the answer that was read from it; empty if there is none          |
    | `reference`     | list[str]        | the gold answers                                                  |
    | `choices`       | list[str]        | what the answer is chosen from; empty where it is free text       |
    | `answerable`    | bool             | False where the right answer is that there is none                |
    | `score`         | float            | only where the data bring a verifier: what it gives for `answer`  |
    | `is_success`    | bool             | whether the answer is right                                       |
    | `stop_reason`   | str              | see above                                                         |
    | `n_new_tokens`  | int              | number of actions                                                 |
    | `prompt_index`  | int              | the question's place in its split                                 |
    | `reward_terms`  | dict[str, float] | each term's part of the return; they sum to it                    |
    | `token_rewards` | list[float]      | only if a reward is given token by token: its parts               |

    ## Arguments
    All are optional and given by keyword, `gym.make("QA-v0", dataset="sentiment", actions="choice")`:

    - `model` (str, `"tiny"`): whose tokens these are: an alias, a Hugging Face id, or a local folder. With
      `actions="choice"` an encoder will do, such as `"minilm"`.
    - `dataset` (`"passages"`): a registered name, or your own questions: a list of rows, a `.jsonl`, `.json`, `.csv` or
      `.parquet` file, a folder with one file for each split, or an id of the `datasets` hub.
    - `dataset_kwargs` (dict): the data set's arguments; `lm_envs.qa.sources` documents them.
    - `reward`: a function `reward(prompts, completions, **columns)` that returns one number a completion, a registered
      name, or a mapping of these to weights; default: the data set's.
    - `shaping` (bool, False): pay the reward as it grows, at every step.
    - `answer` (str or function): how the answer is read from a completion; default: as the data set says. See
      `lm_envs.qa.extraction`.
    - `actions` (str, `"tokens"`): `"tokens"` or `"choice"`.
    - `constrain` (bool, False): only tokens of the question's choices are legal.
    - `max_prompt_tokens` (int, 96), `max_new_tokens` (int, 16): room for the question, and the token budget.
    - `stop` (str or list of str): strings that end the answer.
    - `split` (str, `"train"`): `"train"`, `"validation"` or `"test"`.
    - `group_size` (int, 1): how many episodes begin with each question that is drawn, see above. For algorithms that
      compare episodes of one question, such as GRPO [3].
    - `render_mode` (str): `"ansi"`, `"human"` or `"rgb_array"`, as in `TextGen-v0`.
    - `device` (str, `"cpu"`): where rewards that need a language model run it.
    - `trust_remote_code` (bool, False): run code that comes with the model. Only for models that you trust.

    Errors come at construction: `ConfigurationError`, `UnknownNameError`, `DataError` or `ModelError` of
    `lm_envs.errors`. Later, `step` raises `InvalidActionError` for an action outside of the action space,
    `RewardError` for a reward that fails, and Gymnasium's `ResetNeeded` before `reset` and after the end.

    ## Version History
    - v0: first version.

    ## References
    1. P. Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", EMNLP 2016,
       https://arxiv.org/abs/1606.05250
    2. N. Lambert et al., "Tulu 3: Pushing Frontiers in Open Language Model Post-Training", 2024,
       https://arxiv.org/abs/2411.15124
    3. Z. Shao et al., "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models", 2024,
       https://arxiv.org/abs/2402.03300
    """

    def __init__(
        self,
        *,
        model: str = "tiny",
        dataset: Any = None,
        dataset_kwargs: Mapping[str, Any] | None = None,
        reward: Any = None,
        shaping: bool = False,
        answer: Any = None,
        actions: str = "tokens",
        constrain: bool = False,
        max_prompt_tokens: int = 96,
        max_new_tokens: int = 16,
        stop: str | Sequence[str] | None = None,
        split: str = "train",
        group_size: int = 1,
        render_mode: str | None = None,
        device: str = "cpu",
        trust_remote_code: bool = False,
    ) -> None:
        """Make the environment; the class documentation explains the arguments."""
        config = QAConfig(
            model=model,
            dataset=dataset,
            dataset_kwargs=dataset_kwargs,
            reward=reward,
            shaping=shaping,
            answer=answer,
            actions=actions,
            constrain=constrain,
            max_prompt_tokens=max_prompt_tokens,
            max_new_tokens=max_new_tokens,
            stop=stop,
            split=split,
            group_size=group_size,
            render_mode=render_mode,
            device=device,
            trust_remote_code=trust_remote_code,
        )
        super().__init__(QAEpisodes(config, num_rows=1), render_mode, config.group_size)

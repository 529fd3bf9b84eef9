"""``TextGen-v0``: a language model's text, one token a step. The vector version is in ``text_gen_vector``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_envs.text_gen_config import TextGenConfig
from lm_envs.text_gen_episodes import TextGenEpisodes
from lm_envs.token_env import TokenEnv

if TYPE_CHECKING:
    from lm_envs.tasks import Task


class TextGenEnv(TokenEnv):
    """Write a text, token by token, that continues a prompt and earns a reward.

    ## Description
    The token-level Markov decision process of language generation. The state is the tokens so far: a prompt
    and what the agent appended to it. An action is the next token. The transition is deterministic: the token
    is appended. A reward function scores the finished text. This is the setting in which policy gradient
    methods fine-tune language models [1, 2].

    | Task            | The agent has to                                             | Default reward                 |
    |-----------------|--------------------------------------------------------------|--------------------------------|
    | `reviews`       | continue the beginning of a review so that it turns positive | sentiment, 0 to 1              |
    | `keywords`      | use all the given words in one or two sentences              | coverage and fluency           |
    | `summarization` | say in one headline what is most important in a passage      | ROUGE-L, exact match, and half |
    |                 |                                                              | of faithfulness                |
    | `translation`   | translate two sentences from English into Spanish            | chrF and exact match           |

    `dataset=...` puts your own prompts in their place, with `reward`; together with `task="summarization"` or
    `task="translation"` your own texts and references, to which the task gives its form and its reward.
    `lm_envs.tasks.register` adds a task.

    `gym.make_vec("TextGen-v0", num_envs=64)` makes `TextGenVectorEnv`: the same episodes in one pair of
    arrays.

    ## Observation Space
    `Dict` of two arrays with Hugging Face's names, each of length `L = max_prompt_tokens + max_new_tokens`:

    | Key              | Type             | Range                | Meaning                                   |
    |------------------|------------------|----------------------|-------------------------------------------|
    | `input_ids`      | `Box(L,)` int32  | 0 to vocab_size - 1  | prompt, completion so far, then padding   |
    | `attention_mask` | `Box(L,)` int8   | 0 or 1               | 1 for a token, 0 for padding              |
    | `action_mask`    | `Box(V,)` int8   | 0 or 1               | 1 for a legal action, `V = vocab_size`    |

    `action_mask` is there only where an action can be illegal, that is with `min_new_tokens` above 0.

    Padding is on the right, so an observation extends the one before it. Padded positions hold the
    tokenizer's padding token (else its end-of-text token, else 0). The observation after the last action
    includes it.

    ## Action Space
    `Discrete(vocab_size)`: the id of the next token. `vocab_size` is that of the model, which may exceed the
    tokenizer's number of tokens; the ids in between are legal and have no text.

    `action_masks()` tells which actions are legal now, `(vocab_size,)` bool; it is the method that
    `MaskablePPO` of `sb3_contrib` calls. With `min_new_tokens` the end-of-text tokens are illegal before
    that many tokens. An illegal action raises nothing, as agents that explore at random take some: an
    end-of-text token that comes too early is appended like any other token and does not end the episode.

    ## Rewards
    0 until the episode ends; then the value of `reward` for (prompt, completion). A reward with the attribute
    `per_step = True` is paid at every step instead, for the completion so far. `info["reward_terms"]`
    names the terms; they sum to the episode's return.

    With `shaping=True` the reward is paid as it grows (potential-based shaping [3]): the score of the
    completion so far is a potential, 0 before the first token, and each step pays the difference to the step
    before. The payments of an episode sum to its reward and the terms stay the same. So with a discount of 1
    returns and the optimal policy are those without shaping, while an agent learns sooner which tokens help;
    with a discount below 1 gains count the more the earlier they come. Rewards that are `async`, that have the
    attribute `partial = False`, or that return per-token lists are paid at the end as before. Where a reward
    returns None for a partial completion, its potential stays what it was.

    ## Starting State
    A prompt drawn uniformly, with replacement, from the chosen split, by `np_random`.
    `reset(options={"index": i})` starts with prompt `i` instead (`{"indices": [...]}` in the vector
    environment). The tokens are the tokenizer's, special tokens included; an empty prompt becomes the
    begin-of-text (else end-of-text) token. Of a prompt longer than `max_prompt_tokens` the end is kept,
    and the begin-of-text token where the tokenizer sets one.

    With `group_size` above 1 each prompt that is drawn is handed out so many times: to consecutive episodes, in
    the vector environment to the episodes that begin next, in row order. The episode that takes the first copy
    draws. A seed, `index` or `indices` in `reset` drops the copies that are left.

    ## Episode End
    `terminated` is True, and `info["stop_reason"]` tells why, when the agent

    - chooses an end-of-text token, after at least `min_new_tokens` tokens: `"eos"`;
    - completes a stop string: `"stop"`;
    - has used up its `max_new_tokens`: `"max_new_tokens"`.

    All three are part of the task and visible in the state; `truncated` is always False.

    ## Information
    Empty until the episode ends; then

    | Key             | Type             | Meaning                                                           |
    |-----------------|------------------|-------------------------------------------------------------------|
    | `prompt`        | str              | the whole prompt, even where the observation holds only its end   |
    | `completion`    | str              | the generated text, no special tokens, cut before a stop string   |
    | `stop_reason`   | str              | see above                                                         |
    | `n_new_tokens`  | int              | number of actions                                                 |
    | `prompt_index`  | int              | the prompt's place in its split                                   |
    | `reward_terms`  | dict[str, float] | each term's part of the return; they sum to it                    |
    | `token_rewards` | list[float]      | only if a reward is given token by token: its parts               |
    | `is_success`    | bool             | only where the task defines it                                    |
    | `reference`     | str or list[str] | only where the data have such a column: the reference text(s)     |

    ## Arguments
    All are optional and given by keyword, `gym.make("TextGen-v0", task="keywords", max_new_tokens=24)`:

    - `model` (str, `"tiny"`): whose tokens these are: an alias, a Hugging Face id, or a local folder.
    - `task` (str, `"reviews"`): a registered task, see `lm_envs.tasks.names()`; or a `lm_envs.tasks.Task`.
    - `dataset`: your own prompts in place of a task: a list of strings or dicts, a `.jsonl`, `.json`,
      `.csv` or `.parquet` file, a folder with one file for each split, an id of the `datasets` hub, or a
      `lm_envs.data.PromptDataset`. Needs `reward`, unless it comes with `task="summarization"` (columns `document`,
      `article`, `dialogue`, `text` or `source`, and `summary`, `highlights`, `headline` or `reference`) or
      `task="translation"` (`english` and `spanish`, `en` and `es`, `source` and `target` or `reference`, or
      `translation` with the keys `en` and `es`). Rewards then read the columns `source` and `reference`.
    - `dataset_kwargs` (dict): with `task` and `dataset`, what reads them: `template`, the prompt, as
      `"{source} TL;DR:"`, whose fields are `{source}` and the names of the columns; `source_column` and
      `reference_column`, where they are called otherwise (`"translation.de"` reaches into a mapping).
    - `reward`: a function `reward(prompts, completions, **columns)` that returns one number a completion, a
      registered name, or a mapping of these to weights; default: the task's. `columns` holds the data set's
      columns, and the tokens as `prompt_ids` and `completion_ids`.
    - `shaping` (bool, False): pay the reward as it grows, at every step. It is then computed for every row
      at every step, not only at the end.
    - `max_prompt_tokens` (int, the task's), `max_new_tokens` (int, the task's): room for the prompt, and the token
      budget: 80 and 24 for `summarization`, 40 and 72 for `translation`, else 32 and 32. A reference of these two
      tasks that is longer than `max_new_tokens` is refused at construction.
    - `min_new_tokens` (int, 0): before that many tokens the end-of-text tokens are illegal; at most
      `max_new_tokens`. Stop strings end the episode all the same. Above 0 it adds `action_mask` to the
      observation.
    - `stop` (str or list of str): strings that end the episode when they appear in the completion.
    - `split` (str, `"train"`): `"train"`, `"validation"` or `"test"`.
    - `group_size` (int, 1): how many episodes begin with each prompt that is drawn, see above. For algorithms that
      compare episodes of one prompt, such as GRPO [4].
    - `on_long_prompt` (str, `"truncate"`): what to do with prompts longer than `max_prompt_tokens`:
      `"truncate"` keeps their ends, `"raise"` refuses them at construction.
    - `prompt_column` (str, `"prompt"`), `columns` (list of str, all): which columns of `dataset` hold the
      prompts, and which others reach the reward.
    - `render_mode` (str): `"ansi"`: `render()` returns the coloured text of the episode; `"human"`: the text
      appears on standard output as it is written; `"rgb_array"`: `render()` returns a picture of it, uint8
      `(360, 640, 3)`. The environment variable `NO_COLOR` turns colours off.
    - `device` (str, `"cpu"`): where rewards that need a language model, such as `fluency`, run it.
    - `trust_remote_code` (bool, False): run code that comes with the model. Only for models that you trust.

    Errors come at construction: `ConfigurationError`, `UnknownNameError`, `DataError` or `ModelError` of
    `lm_envs.errors`. Later, `step` raises `InvalidActionError` for an action outside the vocabulary,
    `RewardError` for a reward that fails, and Gymnasium's `ResetNeeded` before `reset` and after the end.

    ## Version History
    - v0: first version.

    ## References
    1. D. Ziegler et al., "Fine-Tuning Language Models from Human Preferences", 2019,
       https://arxiv.org/abs/1909.08593
    2. R. Ramamurthy et al., "Is Reinforcement Learning (Not) for Natural Language Processing: Benchmarks,
       Baselines, and Building Blocks for Natural Language Policy Optimization", ICLR 2023,
       https://arxiv.org/abs/2210.01241
    3. A. Ng, D. Harada and S. Russell, "Policy Invariance Under Reward Transformations: Theory and
       Application to Reward Shaping", ICML 1999
    4. Z. Shao et al., "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models", 2024,
       https://arxiv.org/abs/2402.03300
    """

    def __init__(
        self,
        *,
        model: str = "tiny",
        task: str | Task | None = None,
        dataset: Any = None,
        dataset_kwargs: Mapping[str, Any] | None = None,
        reward: Any = None,
        shaping: bool = False,
        max_prompt_tokens: int | None = None,
        max_new_tokens: int | None = None,
        min_new_tokens: int = 0,
        stop: str | Sequence[str] | None = None,
        split: str = "train",
        group_size: int = 1,
        on_long_prompt: str = "truncate",
        prompt_column: str = "prompt",
        columns: Sequence[str] | None = None,
        render_mode: str | None = None,
        device: str = "cpu",
        trust_remote_code: bool = False,
    ) -> None:
        """Make the environment; the class documentation explains the arguments."""
        config = TextGenConfig(
            model=model,
            task=task,
            dataset=dataset,
            dataset_kwargs=dataset_kwargs,
            reward=reward,
            shaping=shaping,
            max_prompt_tokens=max_prompt_tokens,
            max_new_tokens=max_new_tokens,
            min_new_tokens=min_new_tokens,
            stop=stop,
            split=split,
            group_size=group_size,
            on_long_prompt=on_long_prompt,
            prompt_column=prompt_column,
            columns=columns,
            render_mode=render_mode,
            device=device,
            trust_remote_code=trust_remote_code,
        )
        super().__init__(TextGenEpisodes(config, num_rows=1), render_mode, config.group_size)

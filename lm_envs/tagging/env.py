"""``Tagging-v0``: label the words of a sentence. The vector version is in ``vector_env``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_envs.tagging.config import TaggingConfig
from lm_envs.tagging.episodes import TaggingEpisodes
from lm_envs.token_env import TokenEnv


class TaggingEnv(TokenEnv):
    """Find the entities in a sentence by labelling it word by word.

    ## Description
    Named entity recognition as a Markov decision process. The agent sees a whole sentence and a cursor, and labels the
    word at the cursor; the cursor moves on to the next word, until all words have a label. Labels are BIO, also called
    IOB2: `B-PER` begins an entity of the type `PER`, `I-PER` continues it, `O` is outside of all entities [1].

    | `dataset`        | Sentences                                                                                |
    |------------------|------------------------------------------------------------------------------------------|
    | `"entities"`     | of the small world: people, animals, food, jobs, places, things, times; 4096 train       |
    | a file, a folder | column files of the CoNLL shared tasks [2]; in a folder `train`, `dev`, `test`           |
    | a list           | rows `{"words": [...], "labels": [...]}`                                                 |

    `gym.make_vec("Tagging-v0", num_envs=64)` makes `TaggingVectorEnv`: the same episodes in one set of arrays.

    ## Observation Space
    `Dict`; `L = max_tokens`, `W = max_words`:

    | Key              | Type             | Range                | Meaning                                             |
    |------------------|------------------|----------------------|-----------------------------------------------------|
    | `input_ids`      | `Box(L,)` int32  | 0 to vocab_size - 1  | the sentence, then padding; the same in all steps   |
    | `attention_mask` | `Box(L,)` int8   | 0 or 1               | 1 for a token, 0 for padding                        |
    | `cursor`         | `Box(1,)` int32  | 0 to L - 1           | where the word is that is to be labelled            |
    | `labels`         | `Box(W,)` int8   | -1 to n_labels - 1   | the labels so far; -1 where there is none yet       |
    | `action_mask`    | `Box(n,)` int8   | 0 or 1               | only with `constrain=True`: 1 for legal labels      |

    The sentence's words, joined by spaces, go through the tokenizer of `model`, which may be an encoder; special
    tokens are those that it puts around a text. The cursor is at the word's last token, where a causal model has seen
    all of the word; in the last observation it stays at the last word. With more than 127 labels, `labels` is int16.

    ## Action Space
    `Discrete(n_labels)`: `O`, then `B-` and `I-` of each type; `env.unwrapped.label_names` lists them. With
    `constrain=True` an `I-` is legal only after the `B-` or `I-` of its type. An illegal label raises nothing: it
    counts as it stands, as an entity that nobody began.

    ## Rewards
    | Name             | Paid         | Range      | Meaning                                                           |
    |------------------|--------------|------------|-------------------------------------------------------------------|
    | `entity_f1`      | at the end   | 0 to 1     | F1 of the sentence's entities: type and both ends are right       |
    | `token_accuracy` | at each step | 0 to 1/W'  | 1/W' for the right label, in a sentence of W' words               |

    By default half of each: all labels right gives a return of 1. `reward` takes other weights, or functions of your
    own, which are called with the sentence as prompt, the labels as completion, and the columns `words`, `labels`
    (those so far) and `gold`. `info["reward_terms"]` names the terms; they sum to the return. Entities count as in
    `seqeval` with `mode="strict", scheme=IOB2`: an `I-` without its `B-` begins none, as it does in `seqeval`'s default
    mode.

    ## Starting State
    A sentence drawn uniformly, with replacement, from the chosen split, by `np_random`. `reset(options={"index": i})`
    starts with sentence `i` instead (`{"indices": [...]}` in the vector environment). With `group_size` above 1 each
    sentence that is drawn is handed out so many times in a row, as in `TextGen-v0`.

    ## Episode End
    `terminated` is True when the last word has its label; `truncated` is always False.

    ## Information
    `reset` and all steps but the last give nothing. The last step gives

    | Key             | Type             | Meaning                                                           |
    |-----------------|------------------|-------------------------------------------------------------------|
    | `prompt`        | str              | the words, joined by spaces                                       |
    | `completion`    | str              | the labels, joined by spaces                                      |
    | `words`         | list[str]        | the words                                                         |
    | `labels`        | list[str]        | the agent's labels                                                |
    | `gold`          | list[str]        | the data's labels                                                 |
    | `stop_reason`   | str              | always `"labelled"`                                               |
    | `n_new_tokens`  | int              | number of labels                                                  |
    | `prompt_index`  | int              | the sentence's place in its split                                 |
    | `reward_terms`  | dict[str, float] | each term's part of the return; they sum to it                    |
    | `is_success`    | bool             | whether exactly the sentence's entities were found                |

    ## Arguments
    All are optional and given by keyword, `gym.make("Tagging-v0", dataset="conll/", max_words=128, max_tokens=256)`:

    - `model` (str, `"tiny"`): whose tokens these are: an alias, a Hugging Face id, or a folder; an encoder will do.
    - `dataset` (`"entities"`): the sentences, see above.
    - `reward`: a registered name, a function, or a mapping of these to weights.
    - `types` (list of str): the types of entities, if not those of the data: another type is an error then.
    - `scheme` (str, `"bio"`): how the data are labelled: `"bio"`, or `"iob1"`, which is turned into BIO.
    - `token_column` (int, 0), `label_column` (int, -1): which columns of a file count, from 0; negative: from the end.
    - `constrain` (bool, False): forbid labels that break an entity.
    - `max_words` (int, 32), `max_tokens` (int, 64): the longest sentence.
    - `on_long_sentence` (str, `"raise"`): `"raise"` an error for a longer one, or `"truncate"` it: leave out its end.
    - `split` (str, `"train"`): `"train"`, `"validation"` or `"test"`.
    - `group_size` (int, 1): how many episodes begin with each sentence that is drawn, see above. For algorithms that
      compare episodes of one sentence, such as GRPO [3].
    - `render_mode` (str): `"ansi"`: `render()` returns the coloured text of the episode; `"human"`: it appears on
      standard output as it goes on; `"rgb_array"`: `render()` returns a picture of it, uint8 `(360, 640, 3)`.
    - `device` (str, `"cpu"`): where rewards that need a language model run it.
    - `trust_remote_code` (bool, False): run code that comes with the model. Only for models that you trust.

    Errors come at construction: `ConfigurationError`, `UnknownNameError`, `DataError` or `ModelError` of
    `lm_envs.errors`. Later, `step` raises `InvalidActionError` for an action outside of the action space,
    `RewardError` for a reward that fails, and Gymnasium's `ResetNeeded` before `reset` and after the end.

    ## Version History
    - v0: first version.

    ## References
    1. L. Ramshaw and M. Marcus, "Text Chunking using Transformation-Based Learning", 1995,
       https://aclanthology.org/W95-0107/
    2. E. Tjong Kim Sang and F. De Meulder, "Introduction to the CoNLL-2003 Shared Task", 2003,
       https://aclanthology.org/W03-0419/
    3. Z. Shao et al., "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models", 2024,
       https://arxiv.org/abs/2402.03300
    """

    _episodes: TaggingEpisodes

    def __init__(
        self,
        *,
        model: str = "tiny",
        dataset: Any = None,
        reward: Any = None,
        types: Sequence[str] | None = None,
        scheme: str = "bio",
        token_column: int = 0,
        label_column: int = -1,
        constrain: bool = False,
        max_words: int = 32,
        max_tokens: int = 64,
        on_long_sentence: str = "raise",
        split: str = "train",
        group_size: int = 1,
        render_mode: str | None = None,
        device: str = "cpu",
        trust_remote_code: bool = False,
    ) -> None:
        """Make the environment; the class documentation explains the arguments."""
        config = TaggingConfig(
            model=model,
            dataset=dataset,
            reward=reward,
            types=types,
            scheme=scheme,
            token_column=token_column,
            label_column=label_column,
            constrain=constrain,
            max_words=max_words,
            max_tokens=max_tokens,
            on_long_sentence=on_long_sentence,
            split=split,
            group_size=group_size,
            render_mode=render_mode,
            device=device,
            trust_remote_code=trust_remote_code,
        )
        super().__init__(TaggingEpisodes(config, num_rows=1), render_mode, config.group_size)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label of each action."""
        return self._episodes.label_names

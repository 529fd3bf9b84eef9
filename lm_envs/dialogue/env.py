"""``Dialogue-v0``: conversations with a partner. The vector version is in ``vector_env``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.episodes import DialogueEpisodes
from lm_envs.dialogue.partners import Message
from lm_envs.token_env import TokenEnv


class DialogueEnv(TokenEnv):
    """Talk with a user, turn by turn, until it has what it wants.

    ## Description
    The token-level Markov decision process of dialogue. The agent writes its turn token by token; when the turn ends,
    a partner who plays the user answers, the answer is appended to the observation, and the agent writes its next
    turn. The model's own chat template frames the turns. Tokens of the user are observations and never actions.

    | Partner  | Who answers                                                                | Default reward           |
    |----------|----------------------------------------------------------------------------|--------------------------|
    | `agenda` | a simulated customer of the small world's help desk with a hidden goal [1] | goal, slots, turn cost   |
    | `lm`     | a frozen language model that plays a persona                               | the user's sentiment     |
    | `replay` | nobody: contexts from your own dialogues; one turn, scored by a reference  | overlap with it          |

    Or one of your own: a class with `open(rng)` and `reply(history)`, or a function of the messages so far, plain or
    `async`; see `lm_envs.dialogue.partners`. Its default reward is the sum of the terms of its replies: 0 where they
    are plain texts, so name a `reward` then.

    `gym.make_vec("Dialogue-v0", num_envs=64)` makes `DialogueVectorEnv`: the same conversations in one pair of
    arrays, whose users answer in one batch.

    ## Observation Space
    `Dict` of two arrays with Hugging Face's names, each of length `L = max_tokens`:

    | Key              | Type             | Range                | Meaning                                             |
    |------------------|------------------|----------------------|-----------------------------------------------------|
    | `input_ids`      | `Box(L,)` int32  | 0 to vocab_size - 1  | the conversation so far, then padding               |
    | `attention_mask` | `Box(L,)` int8   | 0 or 1               | 1 for a token, 0 for padding                        |
    | `dialogue_state` | `Box(S,)` int8   | 0 or 1               | only with `actions="acts"`: what has been said      |

    The conversation ends where the agent's next token belongs. An observation extends the one before it: by a token
    within a turn; by the user's turn and its frame after one. Only `on_overflow="drop"` breaks this rule.

    ## Action Space
    `actions="tokens"`: `Discrete(vocab_size)`, the id of the next token. `actions="acts"`: `Discrete(n)`, the next
    dialogue act of the agent, such as asking for a slot, confirming, closing; a template or the frozen language
    model phrases it, and a step is a whole turn. The acts are the partner's; `env.unwrapped.act_names` lists them.

    ## Rewards
    A reward with the attribute `per_turn = True` is paid when a turn of the agent ends, after the user has answered;
    it gets the user's turn that was answered as prompt and the agent's turn as completion. Every other reward is paid
    at the end of the conversation; it gets the user's first turn as prompt and all turns of the agent, one a line, as
    completion. Both can read the columns `messages` (the conversation with the user's answer), `turn`, `done`,
    `success`, `partner_terms` (the partner's own scores), `turn_info` (what it tells about the turn), and those that
    the partner brings, such as `goal` or `reference`. `info["reward_terms"]` names the terms; they sum to the return.

    ## Starting State
    A scenario (a goal, a persona, a context) drawn uniformly, with replacement, from the chosen split, by `np_random`,
    which also makes the partner's choices. `reset(options={"index": i})` starts with scenario `i` instead
    (`{"indices": [...]}` in the vector environment). The observation holds the user's first turn.

    With `group_size` above 1 each scenario that is drawn is handed out so many times in a row, as in `TextGen-v0`, with
    one seed for the partner's choices: conversations of a group have the same first turn, and the same answers for as
    long as the agent says the same.

    ## Episode End
    A turn of the agent ends with the template's end-of-turn token, an end-of-text token, a stop string, or after
    `max_turn_tokens` tokens; the template's frame is then completed. `terminated` is True, and
    `info["stop_reason"]` tells why, when

    - the user has what it wants: `"goal"`;
    - the user leaves without: `"user_left"`;
    - the user has nothing more to say, and the partner does not know whether that is good: `"done"`;
    - the agent writes an end-of-text token that is not the end of a turn in the template: `"agent_closed"`;
    - the agent has used up its `max_turns`: `"max_turns"`;
    - there is no room for the user's turn and one of the agent, with `on_overflow="end"`: `"max_tokens"`.

    All are part of the task; `truncated` is always False. The user's last words are in the info and not in the
    observation.

    ## Information
    `reset` gives `user_turn` and what the partner tells. A step that ends a turn of the agent gives

    | Key             | Type             | Meaning                                                           |
    |-----------------|------------------|-------------------------------------------------------------------|
    | `agent_turn`    | str              | what the agent said                                               |
    | `user_turn`     | str              | what the user answered; empty if nothing                          |
    | `turn`          | int              | the number of the agent's turn, from 1                            |

    and what the partner tells about it: `agenda` gives `agent_act` and `user_act`, the acts as the simulator's parser
    understood them, and `goal_state`, how far each slot of the goal is. Other steps give nothing. At the end there are
    besides

    | Key             | Type             | Meaning                                                           |
    |-----------------|------------------|-------------------------------------------------------------------|
    | `prompt`        | str              | the user's first turn                                             |
    | `completion`    | str              | all turns of the agent, one a line                                |
    | `messages`      | list[dict]       | the conversation, `role` and `content` each                       |
    | `stop_reason`   | str              | see above                                                         |
    | `n_new_tokens`  | int              | number of tokens that the agent wrote                             |
    | `n_turns`       | int              | number of its turns                                               |
    | `prompt_index`  | int              | the scenario's place in its split                                 |
    | `reward_terms`  | dict[str, float] | each term's part of the return; they sum to it                    |
    | `is_success`    | bool             | whether the user got what it wanted, where the partner knows      |

    and the partner's columns, such as `goal`.

    ## Arguments
    All are optional and given by keyword, `gym.make("Dialogue-v0", max_turns=6, on_overflow="drop")`:

    - `model` (str, `"tiny"`): whose tokens and chat template these are: an alias, a Hugging Face id, or a folder.
    - `partner` (`"agenda"`): a registered partner, see `lm_envs.dialogue.partners.names()`; or your own.
    - `partner_kwargs` (dict): the partner's arguments; its documentation lists them.
    - `dataset`: dialogues for the partner `replay`, which it implies: a `.jsonl` file with `messages`, and others.
    - `reward`: a function `reward(prompts, completions, **columns)` that returns one number a completion, a registered
      name, or a mapping of these to weights; default: the partner's.
    - `actions` (str, `"tokens"`): `"tokens"` or `"acts"`.
    - `phrasing` (str, `"template"`): with `actions="acts"`, who phrases them: `"template"` or `"lm"`, the frozen model.
    - `system` (str): a system message in front of every conversation, in place of the partner's.
    - `max_tokens` (int, 256): the length of an observation.
    - `max_turns` (int, 8): how many turns the agent has.
    - `max_turn_tokens` (int, 32): the token budget of each; an act that may become a longer text is an error.
    - `max_user_tokens` (int, 32): longer answers of the user lose their end; what a conversation begins with is cut
      only where it leaves no room for a turn of the agent.
    - `on_overflow` (str, `"end"`): what happens when a conversation outgrows `max_tokens`: `"end"` ends it, `"drop"`
      drops the oldest turns from the observation, never the system message.
    - `stop` (str or list of str): strings that end a turn of the agent.
    - `split` (str, `"train"`): `"train"`, `"validation"` or `"test"`.
    - `group_size` (int, 1): how many episodes begin with each scenario that is drawn, see above. For algorithms that
      compare episodes of one scenario, such as GRPO [2].
    - `render_mode` (str): `"ansi"`: `render()` returns the coloured text of the conversation; `"human"`: it appears on
      standard output as it goes on; `"rgb_array"`: `render()` returns a picture of it, uint8 `(360, 640, 3)`.
    - `device` (str, `"cpu"`): where rewards and partners that need a language model run it.
    - `trust_remote_code` (bool, False): run code that comes with the model. Only for models that you trust.

    Errors come at construction: `ConfigurationError`, `UnknownNameError`, `DataError` or `ModelError` of
    `lm_envs.errors`. Later, `step` raises `InvalidActionError` for an action outside of the action space,
    `PartnerError` for a partner that fails, `RewardError` for a reward that fails, and Gymnasium's `ResetNeeded`
    before `reset` and after the end.

    ## Version History
    - v0: first version.

    ## References
    1. J. Schatzmann et al., "Agenda-Based User Simulation for Bootstrapping a POMDP Dialogue System", NAACL 2007,
       https://aclanthology.org/N07-2038/
    2. Z. Shao et al., "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models", 2024,
       https://arxiv.org/abs/2402.03300
    """

    _episodes: DialogueEpisodes

    def __init__(
        self,
        *,
        model: str = "tiny",
        partner: Any = None,
        partner_kwargs: Mapping[str, Any] | None = None,
        dataset: Any = None,
        reward: Any = None,
        actions: str = "tokens",
        phrasing: str = "template",
        system: str | None = None,
        max_tokens: int = 256,
        max_turns: int = 8,
        max_turn_tokens: int = 32,
        max_user_tokens: int = 32,
        on_overflow: str = "end",
        stop: str | Sequence[str] | None = None,
        split: str = "train",
        group_size: int = 1,
        render_mode: str | None = None,
        device: str = "cpu",
        trust_remote_code: bool = False,
    ) -> None:
        """Make the environment; the class documentation explains the arguments."""
        config = DialogueConfig(
            model=model,
            partner=partner,
            partner_kwargs=partner_kwargs,
            dataset=dataset,
            reward=reward,
            actions=actions,
            phrasing=phrasing,
            system=system,
            max_tokens=max_tokens,
            max_turns=max_turns,
            max_turn_tokens=max_turn_tokens,
            max_user_tokens=max_user_tokens,
            on_overflow=on_overflow,
            stop=stop,
            split=split,
            group_size=group_size,
            render_mode=render_mode,
            device=device,
            trust_remote_code=trust_remote_code,
        )
        super().__init__(DialogueEpisodes(config, num_rows=1), render_mode, config.group_size)

    @property
    def turn_end_id(self) -> int:
        """The token that ends a turn of the agent."""
        return self._episodes.frames.turn_end_id

    @property
    def messages(self) -> list[Message]:
        """All that has been said in the conversation so far, also what the observation no longer holds."""
        talk = self._episodes.conversations[0]
        return [] if talk is None else list(talk.messages)

    @property
    def act_names(self) -> tuple[str, ...]:
        """The dialogue acts that actions choose from; empty where they are tokens."""
        return self._episodes.act_names

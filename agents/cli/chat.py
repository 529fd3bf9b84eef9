"""``lm-envs chat``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.messages import console, errors_as_messages, printable
from agents.cli.options import Debug, Device, Seed
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.cli.targets import Source
    from agents.cli.writing import Continuations, Conversation, Writer


def chat(
    target: Annotated[
        str, typer.Argument(metavar="MODEL_OR_RUN", help="Exported folder, run folder, saved zip, or model name.")
    ],
    system: Annotated[
        str | None, typer.Option("--system", help="What the system message says.", show_default=False)
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", "-T", help="0: the most probable tokens.", show_default="its own")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Most tokens of an answer.")] = 128,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", help="Answer this, print nothing else, and end.", show_default=False),
    ] = None,
    plain: Annotated[
        bool | None,
        typer.Option(
            "--plain/--framed",
            help="Continue what is typed, or frame turns by the chat template.",
            show_default="framed where there is a template; plain for runs of TextGen-v0",
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Talk to a model. An empty line, or Ctrl-D, ends the conversation.

    Example: lm-envs chat runs/MY_RUN/export
    Example: lm-envs chat smollm2-135m --system "Answer briefly." --prompt "What is a lamp?"
    """
    with errors_as_messages(debug):
        from agents.cli.targets import find_source

        if prompt is not None and not prompt.strip():
            raise ConfigurationError("--prompt is empty: there is nothing to answer.")
        source = find_source(target, None, {})
        greedy = temperature == 0
        with console().status("loading the model"):
            from agents.cli.writing import load_writer

            writer = load_writer(source, device, greedy)
            partner = _partner(source, writer, system, max_new_tokens, plain)
        from agents.evaluation.generation import at_temperature, seeded

        with seeded(seed), at_temperature(writer.policy, None if greedy else temperature):
            if prompt is not None:
                answer = writer.vocabulary.decode([list(partner.answer(prompt))])[0]
                typer.echo(printable(answer.strip()))
            else:
                _converse(writer, partner)


def _partner(
    source: Source, writer: Writer, system: str | None, max_new_tokens: int, plain: bool | None
) -> Conversation | Continuations:
    from agents.cli.writing import Continuations, Conversation
    from lm_envs.dialogue.framing import ChatFrames

    if plain is None:
        plain = source.trained_in == "TextGen-v0" or not writer.vocabulary.tokenizer.chat_template
    if not plain:
        return Conversation(writer, ChatFrames(writer.vocabulary), max_new_tokens, system)
    if system is not None:
        raise ConfigurationError(
            "--system needs turns that a chat template frames; here plain text is continued. Leave it out, or pass "
            "--framed if the model has a template."
        )
    return Continuations(writer, max_new_tokens)


def _converse(writer: Writer, partner: Conversation | Continuations) -> None:
    from agents.cli.play import read_line
    from agents.cli.talk import Voice
    from agents.cli.writing import Continuations

    plain = isinstance(partner, Continuations)
    told = "Each line that you type is continued by itself." if plain else "You speak first."
    console().print(f"{told} An empty line ends it.", style="dim")
    voice = Voice(writer.vocabulary)
    while (text := read_line()).strip():
        for token in partner.answer(text):
            voice.hear(token)
        voice.pause()

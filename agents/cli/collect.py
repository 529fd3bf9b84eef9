"""``lm-envs collect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.environment_options import EnvironmentOptions, takes_options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Device, Environment, Seed
from lm_envs.errors import ConfigurationError, UnknownNameError

Store = Annotated[Path, typer.Option("--feedback", "-f", metavar="FILE", help="Feedback file (.sqlite), made if new.")]


@takes_options
def collect(
    targets: Annotated[
        list[str], typer.Argument(metavar="RUN_OR_MODEL...", help="Who writes: runs, saved zips, names of models.")
    ],
    feedback: Store,
    options: EnvironmentOptions,
    prompts: Annotated[int, typer.Option("--prompts", "-p", min=1, help="Prompts of the split.")] = 100,
    completions: Annotated[
        int, typer.Option("--completions", "-n", min=2, max=4, help="Completions of each prompt, by turns.")
    ] = 2,
    temperature: Annotated[float | None, typer.Option("--temperature", "-T", help="Instead of the policy's.")] = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "train",
    env: Environment = None,
    device: Device = "auto",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Sample completions and write them into a feedback file, to be labelled.

    Several policies, for example before and after a training, write by turns; the first run says in which environment.

    Example: lm-envs collect runs/MY_RUN --feedback answers.sqlite --prompts 200 --completions 2
    """
    with errors_as_messages(debug):
        from agents.feedback.files import STORE_SUFFIXES
        from agents.feedback.store import FeedbackStore
        from lm_envs.tasks import SPLITS

        if split not in SPLITS:
            raise UnknownNameError.for_name("split", split, SPLITS)
        if feedback.suffix.lower() not in STORE_SUFFIXES:
            raise ConfigurationError(
                f"--feedback expects a file with the suffix {', '.join(STORE_SUFFIXES)}; got {str(feedback)!r}."
            )
        given = options.arguments()
        store = FeedbackStore(feedback)
        from agents.feedback.collecting import collect_items

        with console().status("sampling completions"):
            found = collect_items(
                store,
                targets,
                prompts,
                completions,
                env_id=env,
                env_kwargs=given,
                temperature=temperature,
                split=split,
                seed=seed,
                device=device,
            )
        there = found.sampled - found.new
        hint = f". {there} were there already; another --seed samples others" if there else ""
        total = len(store.items())
        console().print(f"{found.new} new items in {feedback}, {total} in all{hint}", markup=False, soft_wrap=True)

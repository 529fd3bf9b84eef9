"""``lm-envs feedback``: export, import, agreement, simulate."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Json, Seed, reward_specification

feedback_app = typer.Typer(
    no_args_is_help=True,
    help="What was said about completions: export, import, agreement, a simulated annotator.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreFile = Annotated[Path, typer.Argument(metavar="FILE", help="Feedback file, see 'lm-envs collect'.")]


class Kind(StrEnum):
    """What is exported."""

    PREFERENCES = "preferences"
    UNPAIRED = "unpaired"
    RATINGS = "ratings"
    DEMONSTRATIONS = "demonstrations"


@feedback_app.command("export")
def export_feedback(
    file: StoreFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.jsonl", help="JSON lines.")],
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind",
            "-k",
            help="preferences: prompt, chosen, rejected. unpaired: prompt, completion, label. ratings: prompt, "
            "completion, score. demonstrations: prompt, completion.",
        ),
    ] = Kind.PREFERENCES,
    without_flagged: Annotated[bool, typer.Option("--without-flagged", help="Leave out flagged items.")] = False,
    debug: Debug = False,
) -> None:
    """Write answers as JSON lines in the formats of TRL and of Hugging Face data sets.

    Example: lm-envs feedback export answers.sqlite -o pairs.jsonl
    """
    with errors_as_messages(debug):
        from agents.feedback import files

        found = files.read_feedback(file, leave_out_flagged=without_flagged)
        match kind:
            case Kind.PREFERENCES:
                n_rows = files.write_preferences(output, found.preferences)
            case Kind.UNPAIRED:
                n_rows = files.write_unpaired(output, files.unpaired_of(found))
            case Kind.RATINGS:
                n_rows = files.write_ratings(output, found.ratings)
            case Kind.DEMONSTRATIONS:
                n_rows = files.write_demonstrations(output, found.demonstrations)
        _print(f"{n_rows} rows of {kind.value} in {output}")


@feedback_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Feedback file (.sqlite), made if new.")],
    sources: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Files or folders with comparisons.")],
    annotator: Annotated[str, typer.Option("--annotator", "-a", help="Whose answers these are.")],
    drop_identical: Annotated[
        bool, typer.Option("--drop-identical", help="Leave out pairs of identical texts instead of failing.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Read comparisons and ratings into a feedback file, as what an annotator says.

    Example: lm-envs feedback import answers.sqlite pairs.jsonl --annotator ann
    """
    with errors_as_messages(debug):
        from agents.feedback.files import read_feedback
        from agents.feedback.importing import import_feedback
        from agents.feedback.store import FeedbackStore, annotator_name

        name = annotator_name(annotator)
        found = read_feedback(sources, on_identical="drop" if drop_identical else "raise")
        imported = import_feedback(FeedbackStore(file), found, name)
        _print(f"{imported.answers} answers of {name} to {imported.items} items in {file}, {imported.new} of them new")


@feedback_app.command("agreement")
def agreement(file: StoreFile, as_json: Json = False, debug: Debug = False) -> None:
    """Show what each annotator did, and how far they agree.

    Example: lm-envs feedback agreement answers.sqlite
    """
    with errors_as_messages(debug):
        from agents.feedback.agreement import agreement_of
        from agents.feedback.files import open_store

        found = agreement_of(open_store(file).current_answers())
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(found), indent=2, ensure_ascii=False))
            return
        from agents.cli.agreement_table import print_agreement

        print_agreement(console(), found)


@feedback_app.command("simulate")
def simulate(
    file: StoreFile,
    reward: Annotated[
        list[str],
        typer.Option("--reward", "-r", metavar="[WEIGHT*]NAME[:PARAMETER=VALUE]", help="What the annotator likes."),
    ],
    annotator: Annotated[str, typer.Option("--annotator", "-a", help="The annotator's name.")] = "simulated",
    temperature: Annotated[float, typer.Option("--temperature", "-T", help="Noise, in units of the reward.")] = 0.1,
    tie_margin: Annotated[float, typer.Option("--tie-margin", help="Up to which difference there is a tie.")] = 0.0,
    rating_range: Annotated[
        tuple[float, float] | None,
        typer.Option("--rating-range", metavar="LOW HIGH", help="Also rate: rewards that are rated 1 and 5."),
    ] = None,
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Answer all open items by a reward with Bradley-Terry noise.

    Example: lm-envs feedback simulate answers.sqlite --reward sentiment --temperature 0.1
    """
    with errors_as_messages(debug):
        from agents.feedback.files import open_store
        from agents.feedback.simulated import SimulatedAnnotator

        store = open_store(file)
        arguments = (reward_specification(reward), temperature, tie_margin, seed, annotator, rating_range)
        simulated = SimulatedAnnotator(*arguments)
        with console().status("scoring completions"):
            n_answers = simulated.answer_store(store)
        _print(f"{n_answers} answers of {simulated.name} in {file}")


def _print(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)

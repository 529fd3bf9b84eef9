"""``lm-envs label``."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.messages import console, errors_as_messages, say
from agents.cli.options import Debug
from lm_envs.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from agents.feedback.store import FeedbackStore
    from agents.label_page.server import LabelServer

FEEDBACK_FILE = "feedback.sqlite"


def label(
    target: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_FILE", help="Run folder, or a feedback file (.sqlite).", show_default=False),
    ],
    annotator: Annotated[
        str | None, typer.Option("--annotator", "-a", help="Who answers.", show_default="the page asks")
    ] = None,
    prompts: Annotated[
        int, typer.Option("--prompts", "-p", min=1, help="Prompts to be completed, for a run without items.")
    ] = 50,
    completions: Annotated[
        int, typer.Option("--completions", "-n", min=2, max=4, help="Completions of each such prompt.")
    ] = 2,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link and open nothing.")] = False,
    terminal: Annotated[bool, typer.Option("--terminal", help="Ask here, without a page.")] = False,
    debug: Debug = False,
) -> None:
    """Show prompts with two to four completions, and keep what people say about them.

    A page on this machine: choose the better completion or a tie, rate, edit, flag, skip, undo. The link lets one
    browser in; the page makes links for others. Every answer is on the disk before the next item is shown.

    Example: lm-envs label runs/MY_RUN --annotator ada
    Example: lm-envs label feedback.sqlite --terminal
    """
    with errors_as_messages(debug, "every answer so far is saved"):
        from agents.feedback.store import annotator_name

        name = None if annotator is None else annotator_name(annotator)
        if not terminal:
            from agents.label_page.server import check_installed

            check_installed()
        store = _open_store(target, prompts, completions)
        if terminal:
            _label_here(store, name)
        else:
            from agents.label_page.server import LabelServer

            _serve(LabelServer(store, host, port, name), store, not no_browser)


def _open_store(target: Path, n_prompts: int, n_completions: int) -> FeedbackStore:
    """The feedback file, or the one of a run; filled where the run's has no items.

    Raises:
        CheckpointError: There is neither, or the folder is no run's.
        DataError: The file has no items.
        LMEnvsError: The run cannot be sampled from.
    """
    from agents.feedback.store import FeedbackStore

    if not target.exists():
        raise CheckpointError(
            f"there is no run folder and no feedback file {str(target)!r}. Make a file by 'lm-envs collect', or name a "
            "run folder."
        )
    if not target.is_dir():
        store = FeedbackStore(target)
        if not store.items():
            raise DataError(f"{str(target)!r} has no items to label. Sample some by 'lm-envs collect'.")
        return store
    if not (target / FEEDBACK_FILE).is_file():
        from agents.training_runs.folder import RunFolder

        RunFolder(target).open()  # before a file is made in a folder of something else
    store = FeedbackStore(target / FEEDBACK_FILE)
    if not store.items():
        from agents.feedback.collecting import collect_items

        with console().status(f"completing {n_prompts} prompts"):
            collect_items(store, str(target), n_prompts, n_completions)
    return store


def _label_here(store: FeedbackStore, annotator: str | None) -> None:
    from agents.cli.label_terminal import label_in_terminal

    label_in_terminal(store, annotator or typer.prompt("Your name"))


def _serve(server: LabelServer, store: FeedbackStore, opens_browser: bool) -> None:
    """Answer requests until Ctrl-C, then tell what there is."""
    if not server.is_loopback:
        say("warning", "yellow", f"--host {server.host}: others on the network can reach the page, and read along.")
    typer.echo(f"{len(store.items())} items in {store.path}. Ctrl-C ends. Open this link; it works once:")
    typer.echo(server.link)
    if opens_browser:
        threading.Thread(target=webbrowser.open, args=(server.link,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    people = Counter(given.annotator for given in store.current_answers())
    by = f" ({', '.join(f'{name} {n}' for name, n in sorted(people.items()))})" if people else ""
    typer.echo(f"\nanswers in {store.path}: {people.total()}{by}")

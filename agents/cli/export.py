"""``lm-envs export``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.model_card import CardFacts
    from agents.training_runs.folder import RunFolder


def export(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_ZIP", help="Run folder, or saved zip.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the export.", show_default="export/ or adapter/ beside the zip"),
    ] = None,
    adapter_only: Annotated[
        bool, typer.Option("--adapter-only", help="The adapter of --trainable lora alone, for peft.")
    ] = False,
    push_to_hub: Annotated[
        str | None, typer.Option("--push-to-hub", metavar="OWNER/NAME", help="Upload it, too.", show_default=False)
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="As a private model, with --push-to-hub.")] = False,
    debug: Debug = False,
) -> None:
    """Write what a run trained as a folder that transformers loads, adapters merged, with a model card.

    Example: lm-envs export runs/MY_RUN -o my-model
    Example: lm-envs export runs/MY_RUN --adapter-only --push-to-hub me/reviews-lora --private
    """
    with errors_as_messages(debug):
        if private and push_to_hub is None:
            raise ConfigurationError("--private says how the model is uploaded: it needs --push-to-hub OWNER/NAME.")
        if push_to_hub is not None:
            from agents.hub import check_push

            check_push(push_to_hub)
        saved, run = _find(target)
        folder = output or saved.parent / ("adapter" if adapter_only else "export")
        _export(saved, run, folder, adapter_only, push_to_hub)
        console().print(f"exported to: {folder}", markup=False, soft_wrap=True)
        if push_to_hub is not None:
            from agents.hub import push_folder

            with console().status("uploading"):
                address = push_folder(folder, push_to_hub, private)
            console().print(f"uploaded to: {address}", markup=False, soft_wrap=True)
        if not adapter_only:
            console().print(f"talk to it:  lm-envs chat {folder}", markup=False, soft_wrap=True)


def _find(target: str) -> tuple[Path, RunFolder | None]:
    """The zip, and the run that it belongs to."""
    from agents.cli.targets import find_source, run_folder

    source = find_source(target, None, {})
    if source.saved is None:
        raise ConfigurationError(
            f"{target!r} is a model that nobody trained here; export a run folder of 'lm-envs train' or a zip of "
            "model.save(path)."
        )
    return source.saved, run_folder(Path(target))


def _export(saved: Path, run: RunFolder | None, folder: Path, adapter_only: bool, repo_id: str | None) -> None:
    from agents.export import export_adapter, export_hf, exportable_policy
    from agents.model_card import CURVE, model_card
    from agents.policies.saved_policy import load_policy

    with console().status("loading the model"):
        policy = exportable_policy(load_policy(saved, "cpu"))
    curve = run.curve if run is not None and saved == run.model and run.curve.is_file() else None
    card = model_card(_facts(policy, saved, run, adapter_only, curve is not None), repo_id or str(folder))

    def beside(fresh: Path) -> None:
        (fresh / "README.md").write_text(card, encoding="utf-8")
        if curve is not None:
            shutil.copyfile(curve, fresh / CURVE)

    with console().status("exporting"):
        (export_adapter if adapter_only else export_hf)(policy, folder, beside)


def _facts(policy: Any, saved: Path, run: RunFolder | None, adapter_only: bool, has_curve: bool) -> CardFacts:
    from agents.model_card import CardFacts
    from agents.training_runs.folder import library_versions

    return CardFacts(
        model=policy.model_name,
        policy=type(policy).__name__,
        policy_kwargs=_plain_arguments(policy),
        settings={} if run is None else run.open().to_dict(),
        evaluation=run.read_evaluation() if run is not None and saved == run.model else {},
        versions=library_versions() if run is None else run.read_versions(),
        adapter_only=adapter_only,
        has_curve=has_curve,
    )


def _plain_arguments(policy: Any) -> dict[str, Any]:
    """What the policy was built with, but for spaces, schedules and classes."""
    left_out = ("observation_space", "action_space", "lr_schedule", "optimizer_class")
    arguments = policy._get_constructor_parameters()
    return {key: value for key, value in arguments.items() if key not in left_out and value is not None}

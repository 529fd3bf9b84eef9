"""Uploading an export to the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from lm_envs.errors import ConfigurationError

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_push(repo_id: str) -> None:
    """Check what can be checked before anything is exported.

    Raises:
        ConfigurationError: The id has another form, the hub is switched off, or nobody is logged in.
    """
    from huggingface_hub import get_token, is_offline_mode

    if _REPO_ID.fullmatch(repo_id) is None:
        raise ConfigurationError(
            f"--push-to-hub expects OWNER/NAME, for example me/reviews-ppo; got {repo_id!r}. OWNER is your user name "
            "on the hub, or an organisation's."
        )
    if is_offline_mode():
        raise ConfigurationError(
            "cannot push to the hub: HF_HUB_OFFLINE is set. Unset it, or export to a folder and upload that later: hf "
            "upload OWNER/NAME FOLDER"
        )
    if get_token() is None:
        raise ConfigurationError(
            "cannot push to the hub: no token is there. Log in with 'hf auth login', or set HF_TOKEN to a token with "
            "write access (https://huggingface.co/settings/tokens)."
        )


def push_folder(folder: Path, repo_id: str, private: bool) -> str:
    """Upload a folder as a model, made if it is not there yet.

    Args:
        folder: The export.
        repo_id: ``OWNER/NAME``.
        private: Whether a new model is private; one that is there stays as it is.

    Returns:
        Its address.

    Raises:
        ConfigurationError: The hub refused it, or cannot be reached; the folder is there all the same.
    """
    check_push(repo_id)
    try:
        return _upload(folder, repo_id, private)
    except Exception as error:  # the hub's client raises kinds of several libraries
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigurationError(
            f"the hub did not take {repo_id!r}: {reason}. The export is in {str(folder)!r}. Once the cause is mended: "
            f"hf upload {repo_id} {folder}"
        ) from error


def _upload(folder: Path, repo_id: str, private: bool) -> str:
    from huggingface_hub import HfApi

    api = HfApi()
    address = api.create_repo(repo_id, private=private, exist_ok=True)
    api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload the model")
    return str(address)

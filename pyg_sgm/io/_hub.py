"""The Hugging Face Hub, asked once."""

from __future__ import annotations

from pathlib import Path

SECONDS = 10  # that the Hub has for an answer


def hub_answers(
    repository: str, revision: str | None = None, token: str | bool | None = None
) -> bool:
    """Whether the Hub answers for a repository; asked once, because a download without network
    asks six times in 25 seconds.

    Args:
        repository (str): Name of the repository.
        revision (str, optional): Branch, tag or commit. (default: :obj:`None`, the main branch)
        token (str or bool, optional): For private repositories. (default: that of the Hub's client)

    Raises:
        HFValidationError: If no repository can be called so.
        HfHubHTTPError: If the Hub has none of that name.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        HfApi(token=token).model_info(repository, revision=revision, timeout=SECONDS)
    except (HFValidationError, HfHubHTTPError):
        raise
    except Exception:  # of the client's HTTP library, which differs between its versions
        return False
    return True


def only_local(name: str) -> bool:
    """Whether a model of the Hub's libraries is to be opened without asking the Hub: it is a folder
    here, or the Hub does not answer, and what was downloaded before must do.

    Args:
        name (str): The folder or the repository.

    Raises:
        ValueError: If there is neither.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    path = Path(name)
    if path.is_dir():
        return True
    if path.is_absolute() or name.startswith((".", "~")):
        raise ValueError(f"{name}: no such folder")
    try:
        return not hub_answers(name)
    except HFValidationError as error:
        raise ValueError(f"{name}: no such folder") from error
    except HfHubHTTPError as error:
        raise ValueError(f"{name}: no such folder, and not found on the Hub") from error

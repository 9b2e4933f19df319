"""Saved matchers: folders here, and repositories of the Hugging Face Hub."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
)

from pyg_sgm.io import atomic_write, hub_answers
from pyg_sgm.models.serialization import (
    ATTRIBUTES,
    BANK,
    CONFIG,
    VOCABULARIES,
    WEIGHTS,
    SavedModel,
    load_model,
    read_config,
    save_model,
)
from pyg_sgm.retrieval.calibration import Calibration
from pyg_sgm.retrieval.reranking import PriorWeight
from pyg_sgm.retrieval.scoring import Scorer
from pyg_sgm.training.run_dir import CALIBRATION, RERANK
from pyg_sgm.vision.attributes import AttributeHead

CARD = """---
{{ card_data }}
---

An image-text matcher on scene graphs. With [pyg_sgm]({{ repo_url }}):

```python
from pyg_sgm import SceneGraphMatcher

matcher = SceneGraphMatcher.from_pretrained("this/repository")
```
"""
FILES = (CONFIG, VOCABULARIES, WEIGHTS)


class HubOptions(TypedDict, total=False):
    """Options of :func:`huggingface_hub.hf_hub_download`.

    Args:
        revision (str): Branch, tag or commit. (default: :obj:`"main"`)
        cache_dir (str or Path): Folder of what is downloaded. (default: that of the Hub's client)
        force_download (bool): Also if it is in the cache. (default: :obj:`False`)
        local_files_only (bool): Never ask the Hub. (default: :obj:`False`)
        token (str or bool): For private repositories. (default: that of the Hub's client)
    """

    revision: str | None
    cache_dir: str | Path | None
    force_download: bool
    local_files_only: bool
    token: str | bool | None


def saved_folder(name: str | os.PathLike[str], options: HubOptions) -> Path:
    """The folder of a saved matcher: one that is here, else what the Hub has by that name.

    A name that exists, is absolute, or starts with ``.`` or ``~`` is a folder here; so is what no
    repository can be called. All others are asked for on the Hub.

    Args:
        name (str or PathLike): Folder or repository.
        options (HubOptions): For the Hub.

    Raises:
        ValueError: If there is neither.
    """
    path = Path(name).expanduser()
    if path.exists() or path.is_absolute() or os.fspath(name).startswith("."):
        return path
    repository = Path(name).as_posix()
    missing = f"{name}: no such folder"
    try:
        if not options.get("local_files_only"):
            there = hub_answers(repository, options.get("revision"), options.get("token"))
            options["local_files_only"] = not there
        paths = [hf_hub_download(repository, file, **options) for file in FILES]
        config = read_config(Path(paths[0]))
        for part, file in (("query_bank", BANK), ("attribute_head", ATTRIBUTES)):
            if config.get(part):
                hf_hub_download(repository, file, **options)
        for file in (CALIBRATION, RERANK):
            with suppress(EntryNotFoundError):  # also if it was not among what was downloaded
                hf_hub_download(repository, file, **options)
    except HFValidationError as error:
        raise ValueError(missing) from error
    except HfHubHTTPError as error:
        raise ValueError(f"{missing}, and not found on the Hub") from error
    except LocalEntryNotFoundError as error:
        offline = "which does not answer, and nothing was downloaded before"
        raise ValueError(f"{missing}, and not found on the Hub, {offline}") from error
    return Path(paths[0]).parent


class HubScorer(Scorer, PyTorchModelHubMixin, library_name="pyg_sgm", model_card_template=CARD):
    """A scorer that is saved to and opened from folders and the Hub."""

    _prior_weight: PriorWeight | None = None

    @property
    def prior_weight(self) -> float:
        """Weight of the scores that candidates of others come with, see
        :func:`~pyg_sgm.retrieval.prior_part`: what ``pyg-sgm rerank --fit`` found with these
        weights of the model and left in the run, else 1."""
        known = self._prior_weight
        fits = known is not None and known.fingerprint == self.fingerprint
        return known.weight if known is not None and fits else 1.0

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Writes ``config.json``, ``model.safetensors``, ``vocabularies.json``, where it was
        measured ``calibration.json`` and ``rerank.json``, and, where there is none, a
        ``README.md``; each to the side first and then renamed.

        Args:
            save_directory (str or Path): The folder, created if it is absent.
            **kwargs: See :class:`huggingface_hub.PyTorchModelHubMixin`.

        Raises:
            ValueError: If the matcher is not trained.
        """
        self._saved()
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        kwargs.setdefault("repo_id", folder.resolve().name)
        # Elsewhere, so that nothing is left in the folder if this process is killed.
        with tempfile.TemporaryDirectory() as side:
            url = super().save_pretrained(side, **kwargs)
            for path in sorted(Path(side).iterdir()):
                if path.name != "README.md" or not (folder / path.name).exists():
                    with atomic_write(folder / path.name) as whole:
                        shutil.copyfile(path, whole)
        return url

    @classmethod
    def from_pretrained(  # type: ignore[override]  # fewer options than the mixin's
        cls, pretrained_model_name_or_path: str | Path, **options: Unpack[HubOptions]
    ) -> Self:
        """Opens a folder of :meth:`save_pretrained` or of a training run, or a repository of the
        Hugging Face Hub.

        What exists here, is absolute, or starts with ``.`` or ``~`` is a folder; anything else is
        asked for on the Hub.

        Args:
            pretrained_model_name_or_path (str or Path): The folder, or the repository.
            **options: For the Hub: ``revision``, ``cache_dir``, ``force_download``,
                ``local_files_only``, ``token``, as :func:`huggingface_hub.hf_hub_download` has
                them.

        Raises:
            ValueError: If there is neither, and naming the file, if one is missing, cut short, a
                pickle, or does not fit the others.
        """
        folder = saved_folder(pretrained_model_name_or_path, options)
        matcher = cls._of(load_model(folder))
        if read_config(folder / CONFIG).get("attribute_head"):
            matcher.attributes = AttributeHead.load(folder / ATTRIBUTES)
        if (folder / CALIBRATION).exists():
            matcher._calibration = Calibration.load(folder / CALIBRATION)
        if (folder / RERANK).exists():
            matcher._prior_weight = PriorWeight.load(folder / RERANK)
        return matcher

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(save_directory, self._saved())
        if self.calibration is not None:
            self.calibration.save(save_directory / CALIBRATION)
        if self._prior_weight is not None:
            self._prior_weight.save(save_directory / RERANK)

    @classmethod
    def _of(cls, saved: SavedModel) -> Self:
        matcher = cls(saved.name, **saved.model.config)
        matcher.model, matcher.vocabularies = saved.model, saved.vocabularies
        matcher.made_by, matcher.read_by = saved.extractor, saved.text_encoder
        return matcher

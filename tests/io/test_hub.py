from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from pyg_sgm.io import only_local

MODEL_INFO = "huggingface_hub.HfApi.model_info"


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the Hub was asked")


def test_folders_and_paths_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODEL_INFO, refuse)
    monkeypatch.chdir(tmp_path)
    Path("someone/net").mkdir(parents=True)
    assert only_local("someone/net")
    assert only_local(f"{tmp_path}")
    for name in ("./someone/ner", "../net", f"{tmp_path}/ner", "~/no/net"):
        with pytest.raises(ValueError, match="no such folder"):
            only_local(name)


def test_the_hub_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(_: object, name: str, **__: object) -> None:
        asked.append(name)
        raise ConnectionError

    monkeypatch.setattr(MODEL_INFO, silent)
    assert only_local("someone/net-v1.0")  # what was downloaded before will do
    assert asked == ["someone/net-v1.0"]
    monkeypatch.setattr(MODEL_INFO, lambda *_, **__: None)
    assert not only_local("someone/net-v1.0")


def test_names_that_no_repository_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        response = SimpleNamespace(headers={}, request=None, status_code=404)
        raise RepositoryNotFoundError("404", response=response)

    monkeypatch.setattr(MODEL_INFO, absent)
    with pytest.raises(ValueError, match=r"someone/net: no such folder, and not found on the Hub"):
        only_local("someone/net")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"a/b/c: no such folder"):
        only_local("a/b/c")  # found without asking

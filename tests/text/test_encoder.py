"""Vectors of words from language models."""

import math

import numpy as np
import pytest
import torch

from pyg_sgm.data import Vocabularies, Vocabulary, text_record
from pyg_sgm.text import vector_cache
from pyg_sgm.text.encoder import (
    _Bert,
    describe_text_encoder,
    open_text_encoder,
    reopen_text_encoder,
)
from pyg_sgm.text.vector_cache import word_features
from tests.helpers.language_model import CONFIG, PIECES, bert_weights, tiny_encoder


def reference_states(ids: list[int], w: dict[str, np.ndarray]) -> list[np.ndarray]:
    """BERT (Devlin et al., 2019) in plain float64, after each layer ``[num_pieces, dim]``."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centered = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-12)
        return centered / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = np.stack(
        [
            w["embeddings.word_embeddings.weight"][piece]
            + w["embeddings.position_embeddings.weight"][at]
            + w["embeddings.token_type_embeddings.weight"][0]
            for at, piece in enumerate(ids)
        ]
    )
    x = norm(x, "embeddings.LayerNorm")
    states = [x]
    heads, width = CONFIG["num_attention_heads"], 4
    for i in range(CONFIG["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        q, k, v = (linear(x, f"{layer}.attention.self.{n}") for n in ("query", "key", "value"))
        found = np.zeros_like(x)
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            logits = q[:, part] @ k[:, part].T / math.sqrt(width)
            weight = np.exp(logits - logits.max(axis=1, keepdims=True))
            found[:, part] = weight / weight.sum(axis=1, keepdims=True) @ v[:, part]
        x = norm(
            x + linear(found, f"{layer}.attention.output.dense"),
            f"{layer}.attention.output.LayerNorm",
        )
        inner = linear(x, f"{layer}.intermediate.dense")
        gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + linear(gelu, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        states.append(x)
    return states


def test_bert_is_that_of_its_paper() -> None:
    weights = bert_weights()
    ids = [1, 4, 5, 7, 8, 2]
    net = _Bert(CONFIG, {k: v.float() for k, v in weights.items()}).double()
    net.load_state_dict(net.state_dict())
    given = {k: v.float() for k, v in weights.items()}
    # Positions and types of texts are added once, in float32.
    types = given["embeddings.token_type_embeddings.weight"]
    given["embeddings.position_embeddings.weight"] += types[0]
    types.zero_()
    expected = reference_states(ids, {k: v.double().numpy() for k, v in given.items()})
    found = net.eval()(torch.tensor([ids]))
    for state, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(state[0].detach().numpy(), wanted, atol=1e-10)


def test_a_word_is_the_mean_of_its_pieces() -> None:
    encoder = tiny_encoder()
    weights = {k: v.float().double().numpy() for k, v in bert_weights().items()}
    states = reference_states([1, 9, 7, 8, 2], weights)  # [CLS] man ski ##ing [SEP]
    last = np.stack([states[-1][1], states[-1][2:4].mean(axis=0)])
    last *= math.sqrt(8) / 4 / np.linalg.norm(last, axis=1, keepdims=True)
    found = encoder([("man", "skiing")])
    np.testing.assert_allclose(found.numpy(), last, rtol=1e-4, atol=1e-4)
    encoder = tiny_encoder(all_layers=True)
    pieces = sum(state / np.linalg.norm(state, axis=1, keepdims=True) for state in states)
    expected = np.stack([pieces[1], pieces[2:4].mean(axis=0)])
    expected *= math.sqrt(8) / 4 / np.linalg.norm(expected, axis=1, keepdims=True)
    found = encoder([("man", "skiing")])
    np.testing.assert_allclose(found.numpy(), np.hstack([expected, last]), rtol=1e-4, atol=1e-4)
    assert encoder.phrases(["man", "skiing"]).shape == (2, encoder.width) == (2, 16)
    labels, _ = encoder.labels(Vocabularies(*(Vocabulary(["man"]) for _ in range(4))))["objects"]
    torch.testing.assert_close(labels[1:], encoder.phrases(["man"])[:, :8])
    assert encoder.fingerprint != tiny_encoder().fingerprint


def test_texts_do_not_depend_on_their_neighbors() -> None:
    encoder = tiny_encoder()
    alone = [encoder([text]) for text in (("a", "dog"), ("skiing",), ("a", "cat"))]
    together = encoder([("a", "dog"), (), ("skiing",), ("a", "cat")])
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-6)


def test_long_texts_are_read_in_windows() -> None:
    encoder = tiny_encoder()
    words = ["a", "dog"] * 75
    found = encoder([words])
    assert found.shape == (150, 8)
    torch.testing.assert_close(found[64:128], found[:64], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[128:], encoder([words[128:]]), rtol=1e-5, atol=1e-6)


def test_no_text_and_phrases() -> None:
    encoder = tiny_encoder()
    assert encoder([]).shape == encoder([()]).shape == (0, 8)
    mean = encoder([("dog", "horse")]).mean(dim=0)
    expected = mean / mean.norm() * math.sqrt(8) / 4
    torch.testing.assert_close(encoder.phrases(["dog horse", ""])[0], expected)
    assert not encoder.phrases(["dog horse", ""])[1].any()


@pytest.mark.parametrize(
    "name", ["", "hf:", "bert", "minilm,layers=0", "hf:,layers=all", "file:/etc/passwd"]
)
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match="known: minilm, hf:NAME"):
        open_text_encoder(name)


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "T5"])
def test_encoders_of_transformers(tmp_path, kind: str) -> None:
    """With weights in half precision, which are computed with in float32, and texts that are longer
    than a tokenizer without an end lets through."""
    transformers = pytest.importorskip("transformers")
    small = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    small |= {"hidden_size": 8, "max_position_embeddings": 24, "vocab_size": len(PIECES)}
    if kind == "T5":
        small = {"d_model": 8, "d_ff": 8, "d_kv": 4, "num_layers": 1, "num_heads": 2}
        small["vocab_size"] = len(PIECES)
    torch.manual_seed(0)
    name = "T5Encoder" if kind == "T5" else kind
    config = getattr(transformers, f"{kind}Config")(**small)
    net = getattr(transformers, f"{name}Model")(config).half()
    net.save_pretrained(tmp_path)
    pieces = tiny_encoder().tokenizer
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(tmp_path)
    encoder = open_text_encoder(f"hf:{tmp_path}")
    assert encoder([("a", "dog"), ["a", "dog"] * 20]).shape == (42, 8)
    ids = torch.tensor([[1, 9, 7, 8, 2]])  # [CLS] man ski ##ing [SEP]
    with torch.no_grad():
        states = net.float().eval()(input_ids=ids)[0][0]
    last = torch.stack([states[1], states[2:4].mean(dim=0)])
    last = torch.nn.functional.normalize(last) * math.sqrt(8) / 4
    torch.testing.assert_close(encoder([("man", "skiing")]), last)
    encoder = open_text_encoder(f"hf:{tmp_path},layers=all")
    with torch.no_grad():
        layers = net(input_ids=ids, output_hidden_states=True).hidden_states
    states = sum(torch.nn.functional.normalize(layer[0], dim=1) for layer in layers)
    expected = torch.stack([states[1], states[2:4].mean(dim=0)])
    expected = torch.nn.functional.normalize(expected) * math.sqrt(8) / 4
    expected = torch.cat([expected, last], dim=1)
    torch.testing.assert_close(encoder([("man", "skiing")]), expected)


def test_two_towers_are_no_encoder_of_texts(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 8, "projection_dim": 8}
    config = transformers.CLIPConfig(vision_config=small, text_config=small | {"vocab_size": 9})
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tiny_encoder().tokenizer).save_pretrained(
        tmp_path
    )
    with pytest.raises(ValueError, match="text encoder 'hf:"):
        open_text_encoder(f"hf:{tmp_path}")


def test_folder_gives_the_same_as_memory(tmp_path) -> None:
    encoder = tiny_encoder()
    texts = [text_record(caption) for caption in ("a dog", "a man", "a dog", "skiing cat")]
    memory = word_features(texts, encoder)
    calls: list[tuple[int, int]] = []
    first = word_features(texts[:2], encoder, tmp_path / "v", lambda *done: calls.append(done))
    second = word_features(texts, encoder, tmp_path / "v", lambda *done: calls.append(done))
    assert calls == [(2, 2), (1, 1)]  # known texts are not read again
    for found, index in ((first, [0, 1]), (second, [0, 1, 2, 3])):
        expected = memory.select(torch.tensor(index))
        assert torch.equal(found.spans.count, expected.spans.count)
        assert torch.equal(found.rows[found.spans.rows()], memory.rows[expected.spans.rows()])


def test_a_shard_that_was_lost(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(vector_cache, "TEXTS_PER_SHARD", 1)
    encoder = tiny_encoder()
    texts = [text_record(caption) for caption in ("a dog", "a man", "skiing cat")]
    word_features(texts, encoder, tmp_path)
    (tmp_path / "00000.json").unlink()
    found, expected = word_features(texts, encoder, tmp_path), word_features(texts, encoder)
    assert torch.equal(found.rows[found.spans.rows()], expected.rows[expected.spans.rows()])


def test_vectors_of_another_encoder_are_replaced(tmp_path) -> None:
    texts = [text_record("a dog")]
    word_features(texts, tiny_encoder(0), tmp_path)
    other = tiny_encoder(1)
    found = word_features(texts, other, tmp_path)
    expected = word_features(texts, other)
    assert torch.equal(found.rows[found.spans.rows()], expected.rows[expected.spans.rows()])


@pytest.mark.parametrize("content", ["[[1]]", "{}", '[["a"', '["a dog"]'])
def test_broken_folder_is_named(tmp_path, content: str) -> None:
    texts = [text_record("a dog")]
    word_features(texts, tiny_encoder(), tmp_path)
    (tmp_path / "00000.json").write_text(content)
    with pytest.raises(ValueError, match=r"00000\.json"):
        word_features(texts, tiny_encoder(), tmp_path)


def test_folder_with_vectors_of_other_texts_is_named(tmp_path) -> None:
    texts = [text_record("a dog")]
    word_features(texts, tiny_encoder(), tmp_path)
    np.save(tmp_path / "00000.npy", np.zeros((7, 8), np.float16))
    with pytest.raises(ValueError, match=r"00000\.npy: not the vectors"):
        word_features(texts, tiny_encoder(), tmp_path)


def test_minilm_knows_what_is_alike() -> None:
    pytest.importorskip("all_minilm_l6_v2", reason="needs the extra minilm")
    encoder = open_text_encoder("minilm")
    dog, puppy, car = torch.nn.functional.normalize(
        encoder.phrases(["a dog", "a puppy", "a car"]), dim=1
    )
    assert dog @ puppy > dog @ car + 0.2
    all_layers = open_text_encoder("minilm,layers=all")
    assert all_layers.fingerprint != encoder.fingerprint
    described = describe_text_encoder(all_layers)
    assert reopen_text_encoder(described, "it").all_layers

"""What regions are called, against numpy."""

import numpy as np
import torch

from pyg_sgm.nn import ClassWords


def test_class_words() -> None:
    generator = torch.Generator().manual_seed(0)

    def some(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.double)

    weight, bias, vectors, seen, x = some(7, 5), some(7), some(7, 4), some(5000, 5), some(3, 5)
    words = ClassWords(5, 7, 4).double()
    words.set(weight, bias, vectors, seen)

    def called(x: np.ndarray) -> np.ndarray:
        power = np.exp(x @ weight.numpy().T + bias.numpy())
        unit = vectors.numpy() / np.sqrt((vectors.numpy() ** 2).sum(axis=1, keepdims=True))
        return power / power.sum(axis=1, keepdims=True) @ unit

    expected = called(x.numpy()) - called(seen.numpy()).mean(axis=0)
    expected *= 2 / 4 / np.sqrt((expected**2).sum(axis=1, keepdims=True))
    torch.testing.assert_close(words(x), torch.from_numpy(expected))
    again = ClassWords(5, 7, 4).double()
    again.load_state_dict(words.state_dict())
    assert torch.equal(again(x), words(x))
    assert not list(words.parameters())
    double = ClassWords(5, 7, 8, dim=4).double()
    double.set(weight, bias, torch.cat([vectors, 3 * vectors.flip(0)], dim=1), seen)
    words.set(weight, bias, vectors.flip(0), seen)
    torch.testing.assert_close(double(x), torch.cat([again(x), words(x)], dim=1))

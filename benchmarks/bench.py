"""What the benchmarks share: random collections, timing, memory, files."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pyg_sgm.ops import Packed, cross_match, maxsim

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def random_nodes(
    sizes: tuple[int, int], count: int, dim: int, seed: int, device: str = "cpu"
) -> Packed:
    """Gaussian nodes of ``count`` graphs, each with a random size in the closed range."""
    generator = torch.Generator(device).manual_seed(seed)
    size = torch.randint(
        sizes[0], sizes[1] + 1, (count,), generator=generator, device=generator.device
    )
    ptr = torch.cat([size.new_zeros(1), size.cumsum(0)])
    return Packed(torch.randn(int(ptr[-1]), dim, generator=generator, device=generator.device), ptr)


@dataclass
class SGM:
    """Similarity at two levels: words with objects, triplets with relations."""

    objects: Packed
    relations: Packed
    words: Packed
    triplets: Packed

    @classmethod
    def random(cls, images: int, captions: int, dim: int = 1024, device: str = "cpu") -> "SGM":
        return cls(
            random_nodes((36, 36), images, dim, 0, device),
            random_nodes((25, 25), images, dim, 1, device),
            random_nodes((5, 25), captions, dim, 2, device),
            random_nodes((0, 6), captions, dim, 3, device),
        )

    def to(self, device: str, dtype: torch.dtype) -> "SGM":
        return SGM(*(part.to(device, dtype) for part in vars(self).values()))

    def images(self, index: Tensor) -> "SGM":
        taken = self.objects.select(index), self.relations.select(index)
        return SGM(*taken, self.words, self.triplets)

    def texts(self, index: Tensor) -> "SGM":
        taken = self.words.select(index), self.triplets.select(index)
        return SGM(self.objects, self.relations, *taken)

    @property
    def levels(self) -> list[tuple[Packed, Packed]]:
        return [(self.objects, self.words), (self.relations, self.triplets)]

    def score(self) -> Tensor:
        first, second = (maxsim(y, x).t() for x, y in self.levels)
        return first + second

    def flops(self) -> float:
        return sum(2.0 * x.x.numel() * y.x.size(0) for x, y in self.levels)

    def result_bytes(self) -> int:
        # Two levels, of which the second is added to the first.
        return 2 * 4 * len(self.objects) * len(self.words)

    def caption_loop(self) -> Tensor:
        """Every caption expanded to all images, as SCAN, SGRAF and LGSGM evaluate."""
        columns = torch.zeros(len(self.words), len(self.objects), device=self.objects.x.device)
        for x, y in self.levels:
            nodes, _ = x.padded()
            for j, caption in enumerate(y.x.split(y.sizes.tolist())):
                if len(caption):
                    expanded = caption.t().expand(len(nodes), -1, -1)
                    columns[j] += torch.bmm(nodes, expanded).amax(1).float().mean(1)
        return columns.t()

    def pair_loop(self) -> Tensor:
        scores = torch.zeros(len(self.objects), len(self.words))
        for x, y in self.levels:
            images, captions = x.x.split(x.sizes.tolist()), y.x.split(y.sizes.tolist())
            for i, image in enumerate(images):
                for j, caption in enumerate(captions):
                    if len(caption):
                        scores[i, j] += (image @ caption.t()).amax(0).float().mean()
        return scores

    def einsum(self) -> Tensor:
        scores = torch.zeros((), device=self.objects.x.device)
        for x, y in self.levels:
            nodes, _ = x.padded()
            captions, mask = y.padded()
            best = torch.einsum("ind,jkd->ijnk", nodes, captions).amax(2).float()
            total = best.masked_fill(~mask, 0).sum(2)
            scores = scores + total / y.sizes.clamp(min=1)
        return scores


@dataclass
class HOAD:
    """Attention and 64 perspectives between graphs of 40 to 80 and of 6 to 20 nodes."""

    x: Packed
    y: Packed
    x_beta: Tensor
    y_beta: Tensor
    x_weight: Tensor
    y_weight: Tensor
    mix: Tensor

    @classmethod
    def random(
        cls,
        images: int,
        captions: int,
        dim: int = 256,
        perspectives: int = 64,
        device: str = "cpu",
    ) -> "HOAD":
        x = random_nodes((40, 80), images, dim, 0, device)
        y = random_nodes((6, 20), captions, dim, 1, device)
        generator = torch.Generator().manual_seed(2)
        shares = [torch.rand(len(side.x), generator=generator) for side in (x, y)]
        weights = torch.rand(2, perspectives, dim, generator=generator)
        mix = torch.randn(2 * perspectives, generator=generator)
        return cls(x, y, *(t.to(device) for t in (*shares, *weights, mix)))

    def to(self, device: str, dtype: torch.dtype) -> "HOAD":
        parts = (part.to(device, dtype) for part in vars(self).values())
        return HOAD(*parts)

    def images(self, index: Tensor) -> "HOAD":
        beta = Packed(self.x_beta[:, None], self.x.ptr).select(index).x[:, 0]
        return HOAD(**{**vars(self), "x": self.x.select(index), "x_beta": beta})

    def texts(self, index: Tensor) -> "HOAD":
        beta = Packed(self.y_beta[:, None], self.y.ptr).select(index).x[:, 0]
        return HOAD(**{**vars(self), "y": self.y.select(index), "y_beta": beta})

    @property
    def levels(self) -> list[tuple[Packed, Packed]]:
        return [(self.x, self.y)]

    def head(self, x: Tensor, y: Tensor) -> Tensor:
        return (torch.cat([x, y], -1) @ self.mix.to(x.dtype)).sigmoid()

    def score(self) -> Tensor:
        side = self.x_beta, self.y_beta, self.x_weight, self.y_weight
        return cross_match(self.x, self.y, *side, self.head)

    def flops(self) -> float:
        """Of the formulas: three products of attention, and product and length per perspective."""
        (n, dim), (k, _) = self.x.x.shape, self.y.x.shape
        per_node = 4.0 * dim * len(self.x_weight)
        return 6.0 * n * k * dim + per_node * (n * len(self.y) + k * len(self.x))

    def result_bytes(self) -> int:
        return 4 * len(self.x) * len(self.y)

    def caption_loop(self) -> Tensor:
        """Every caption with all images in batched products."""
        nodes, _ = self.x.padded()
        share, _ = Packed(self.x_beta[:, None], self.x.ptr).padded()
        columns = []
        sizes = self.y.sizes.tolist()
        for caption, beta in zip(self.y.x.split(sizes), self.y_beta.split(sizes), strict=True):
            alpha = _cosines(nodes, caption.expand(len(nodes), -1, -1)).relu()
            x_seen = _shares(alpha) @ caption
            y_seen = _shares(alpha.transpose(1, 2)) @ nodes
            m_x = (share * _matched(nodes, x_seen, self.x_weight)).sum(1)
            m_y = (beta[:, None] * _matched(caption, y_seen, self.y_weight)).sum(1)
            columns.append(self.head(m_x.float(), m_y.float()))
        return torch.stack(columns, 1)

    def pair_loop(self) -> Tensor:
        """As the formulas are written, pair by pair."""
        scores = torch.zeros(len(self.x), len(self.y))
        x_sizes, y_sizes = self.x.sizes.tolist(), self.y.sizes.tolist()
        for i, (x, u) in enumerate(
            zip(self.x.x.split(x_sizes), self.x_beta.split(x_sizes), strict=True)
        ):
            for j, (y, v) in enumerate(
                zip(self.y.x.split(y_sizes), self.y_beta.split(y_sizes), strict=True)
            ):
                alpha = _cosines(x, y).relu()
                m_x = u @ _perspectives(x, _shares(alpha) @ y, self.x_weight)
                m_y = v @ _perspectives(y, _shares(alpha.t()) @ x, self.y_weight)
                scores[i, j] = self.head(m_x.float(), m_y.float())
        return scores

    def einsum(self) -> Tensor:
        x, _ = self.x.padded()
        y, _ = self.y.padded()
        share, _ = Packed(self.x_beta[:, None], self.x.ptr).padded()
        beta, _ = Packed(self.y_beta[:, None], self.y.ptr).padded()
        norm = torch.nn.functional.normalize
        alpha = torch.einsum("ind,jkd->ijnk", norm(x, dim=-1), norm(y, dim=-1)).relu()
        x_seen = torch.einsum("ijnk,jkd->ijnd", alpha, y)
        y_seen = torch.einsum("ijnk,ind->ijkd", alpha, x)
        m_x = (share[:, None] * _matched(x[:, None], x_seen, self.x_weight)).sum(2)
        m_y = (beta * _matched(y, y_seen, self.y_weight)).sum(2)
        return self.head(m_x.float(), m_y.float())


def _cosines(x: Tensor, y: Tensor) -> Tensor:
    norm = torch.nn.functional.normalize
    return norm(x, dim=-1) @ norm(y, dim=-1).transpose(-1, -2)


def _shares(alpha: Tensor) -> Tensor:
    return alpha / alpha.sum(-1, keepdim=True).clamp(min=1e-6)


def _matched(x: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    square = weight.square().t()
    lengths = (x.square() @ square) * (seen.square() @ square)
    return ((x * seen) @ square) * lengths.clamp(min=1e-12).rsqrt()


def _perspectives(x: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    cosine = torch.nn.functional.cosine_similarity
    return cosine(weight * x[:, None], weight * seen[:, None], dim=-1)


MODELS: dict[str, type[SGM] | type[HOAD]] = {"sgm": SGM, "hoad": HOAD}


def measure(
    functions: dict[str, Callable[[], object]], device: str, repeats: int
) -> dict[str, float]:
    """Median seconds of every function, timed in turns after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            seconds = _seconds(function, device)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(function: Callable[[], object], device: str) -> float:
    if device == "cpu":
        start = time.perf_counter()
        function()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    function()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def peak_memory(function: Callable[[], object], device: str) -> float:
    """MiB that a call takes at its peak beside what there was before, its result included."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # Linux: writing 5 sets the high-water mark of resident memory back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return (_status("VmHWM") - before) / 2**10


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def device_name(device: str) -> str:
    if device != "cpu":
        return torch.cuda.get_device_name()
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads"


def save_json(folder: Path, name: str, report: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")

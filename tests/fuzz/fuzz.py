"""Opens mutated files with every reader and counts what is no answer.

    python -m tests.fuzz.fuzz --inputs 20000

A reader answers with data that are consistent, or with a ValueError (or an OSError) that names the
file. Anything else is a finding: another exception, a message that names no file, data that are not
consistent, more than 20 seconds, more than 2 GiB. Each finding has a number, and ``--only`` repeats
it: the mutation follows from seed and number alone.
"""

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyg_sgm.io import write_json
from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS, Target

SECONDS = 20
GIBIBYTES = 2
FINDINGS = ("other exception", "unnamed", "nonsense", "hang", "memory")


@dataclass(frozen=True)
class Result:
    """What a reader made of one mutated file.

    Args:
        target: Name of the reader.
        number: Number of the input.
        kind: ``"accepted"``, ``"refused"`` or one of :data:`FINDINGS`.
        detail: The file that was mutated and the message.
    """

    target: str
    number: int
    kind: str
    detail: str


class _Late(Exception):
    pass


def fuzz(numbers: Iterable[int], seed: int = 0, names: Iterable[str] = TARGETS) -> Iterator[Result]:
    """Mutates and opens, reader after reader in turn.

    Args:
        numbers: Numbers of the inputs.
        seed: Of the mutations. (default: ``0``)
        names: The readers. (default: all)
    """
    names = list(names)
    with tempfile.TemporaryDirectory(prefix="fuzz") as root:
        files = {name: _write(TARGETS[name], Path(root, str(i))) for i, name in enumerate(names)}
        for number in numbers:
            name = names[number % len(names)]
            folder = Path(root, str(names.index(name)))
            rng = random.Random(f"{seed}/{number}")
            path, raw = rng.choice(files[name])
            path.write_bytes(mutate(raw, rng))
            kind, message = _open(TARGETS[name], folder, rng.random() < 0.3)
            path.write_bytes(raw)
            yield Result(name, number, kind, f"{path.name}: {message}")


def _write(target: Target, folder: Path) -> list[tuple[Path, bytes]]:
    """Writes the files that are right, checks that they are, and returns those to mutate."""
    folder.mkdir()
    target.write(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.open(folder, True)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, path.read_bytes()) for path in paths if not path.name.endswith(target.fixed)]


def _open(target: Target, folder: Path, strict: bool) -> tuple[str, str]:
    before = _peak(reset=True)
    try:
        with warnings.catch_warnings(), _limited():
            warnings.simplefilter("ignore")
            target.open(folder, strict)
        kind, message = "accepted", ""
    except (ValueError, OSError) as error:
        kind, message = "refused", f"{type(error).__name__}: {error}"
        if str(folder) not in message:
            kind = "unnamed"
    except AssertionError as error:
        kind, message = "nonsense", str(error)
    except _Late:
        kind, message = "hang", f"more than {SECONDS} seconds"
    except Exception:
        kind, message = "other exception", traceback.format_exc(limit=-3)
    if _peak() - before > GIBIBYTES << 20:
        kind, message = "memory", f"{(_peak() - before) / (1 << 20):.1f} GiB; {message}"
    return kind, message


@contextmanager
def _limited() -> Iterator[None]:
    """Ends what takes too long."""

    def late(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak(reset: bool = False) -> int:
    """Most memory of the process since the last reset, in KiB."""
    if not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Prints a table of all readers, and every finding."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=list(TARGETS))
    parser.add_argument("--only", type=int, help="number of one input")
    parser.add_argument("--out", type=Path, help="JSON file of the counts")
    arguments = parser.parse_args()
    numbers = range(arguments.inputs) if arguments.only is None else [arguments.only]
    counts: dict[str, Counter[str]] = {}
    start = time.perf_counter()
    for result in fuzz(numbers, arguments.seed, arguments.reader or TARGETS):
        counts.setdefault(result.target, Counter())[result.kind] += 1
        if result.kind in FINDINGS or arguments.only is not None:
            print(
                f"{result.number} {result.target}: {result.kind}: {result.detail[:1500]}",
                flush=True,
            )
    kinds = ("accepted", "refused", *FINDINGS)
    print("| reader | inputs | " + " | ".join(kinds) + " |")
    print("| --- |" + " ---: |" * (len(kinds) + 1))
    total: Counter[str] = sum(counts.values(), Counter())
    for name, row in (*sorted(counts.items()), ("all", total)):
        cells = [name, row.total(), *(row[kind] for kind in kinds)]
        print(
            "| "
            + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells)
            + " |"
        )
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.out is not None:
        readers = {name: {kind: row[kind] for kind in kinds} for name, row in counts.items()}
        limits = {"seconds": SECONDS, "gibibytes": GIBIBYTES}
        write_json(arguments.out, {"seed": arguments.seed, **limits, "readers": readers})
    sys.exit(any(total[kind] for kind in FINDINGS))


if __name__ == "__main__":
    main()

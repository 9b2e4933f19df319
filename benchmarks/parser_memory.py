"""How much memory does the learned parser take, and how fast is it on long captions?

    python benchmarks/parser_memory.py --out benchmarks/results

256 captions of 41 words, and one caption of 20,000 words. Peak
memory is that of the process, and what importing and loading took is told apart. Writes and prints
``parser_memory.json``.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

SENTENCE = (
    "a young man in a red shirt and a woman with a small white dog are sitting on a bench in front "
    "of a brick building while two little children play with a ball on the green grass near a tree"
)
NOUNS = " and ".join(["dogs", "cats", "horses"] * 7)  # as many pairs as 41 words can have
LONG = " ".join(SENTENCE.split() * 488)
CASES = {
    "256 captions of 41 words": [SENTENCE] * 256,
    "256 lists of 21 nouns": [NOUNS] * 256,
    "one caption of 20,000 words": [LONG],
}


def peak() -> float:
    """Most memory that the process has taken so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(case: str) -> dict[str, float]:
    from pyg_sgm.text import parse, parse_batch

    parse("a dog")
    before = peak()
    captions = CASES[case]
    seconds, processor = [], []
    for _ in range(3):
        start, used = time.perf_counter(), time.process_time()
        parse_batch(captions)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    count = sum(len(caption.split()) for caption in captions)
    return {
        "words": count,
        "GiB_in_all": round(peak(), 3),
        "GiB_above_start": round(peak() - before, 3),
        "seconds": round(min(seconds), 3),
        "processor_seconds": round(min(processor), 3),
        "captions_per_second": round(len(captions) / min(seconds), 1),
        "words_per_second": round(count / min(seconds)),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--case", choices=CASES, help="one case, in this process")
    args = arguments.parse_args()
    if args.case:
        print(json.dumps(measure(args.case)))
        return
    results: dict = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads"}
    for case in CASES:  # each in a process of its own, for its peak
        command = [sys.executable, __file__, "--out", str(args.out), "--case", case]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results[case] = json.loads(done.stdout)
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1)
    (args.out / "parser_memory.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

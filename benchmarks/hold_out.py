"""Holds out a sixth of the training photos of Flickr8k, to choose on what the dev photos must not
decide.

Makes a folder of the same layout whose `train.txt` has the other five sixths, with the lists
`held_out.txt` and, for short trainings, `short.txt`, 2,000 photos of `train.txt`.

    python benchmarks/hold_out.py FOLDER f8k-held-out
    pyg-sgm train sgm --recipe photos --data flickr8k:f8k-held-out --split short ...
    python benchmarks/photos.py --data flickr8k:f8k-held-out --split held_out ...
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from pyg_sgm.io import read_lines, write_text

EVERY, SHORT, SEED = 6, 2000, 0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=Path, help="photos, captions, train.txt and dev.txt")
    parser.add_argument("out", type=Path, help="a new folder, with links to the photos")
    options = parser.parse_args(arguments)
    photos = sorted(
        name for line in read_lines(options.folder / "train.txt") if (name := line.strip())
    )
    held_out = photos[::EVERY]
    others = sorted(set(photos) - set(held_out))
    short = sorted(random.Random(SEED).sample(others, min(SHORT, len(others))))
    lists = {"train.txt": others, "held_out.txt": held_out, "short.txt": short}
    options.out.mkdir(parents=True)
    for entry in options.folder.iterdir():
        if entry.name not in lists:
            (options.out / entry.name).symlink_to(entry.absolute())
    for name, part in lists.items():
        write_text(options.out / name, "".join(f"{photo}\n" for photo in part))
        print(f"{options.out / name}: {len(part):,} photos")


if __name__ == "__main__":
    main()

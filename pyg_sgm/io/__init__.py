"""Files: written whole or not at all, read with errors that name them."""

from pyg_sgm.io._digest import digest
from pyg_sgm.io._hub import hub_answers, only_local
from pyg_sgm.io._images import IMAGE_SUFFIXES, image_orientation, open_image
from pyg_sgm.io._read import (
    parse_json,
    read_bytes,
    read_json,
    read_json_lines,
    read_lines,
    read_text,
)
from pyg_sgm.io._write import (
    atomic_write,
    counted,
    is_temporary,
    locked,
    printable,
    remove_temporaries,
    write_json,
    write_tensors,
    write_text,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "atomic_write",
    "counted",
    "digest",
    "hub_answers",
    "image_orientation",
    "is_temporary",
    "locked",
    "only_local",
    "open_image",
    "parse_json",
    "printable",
    "read_bytes",
    "read_json",
    "read_json_lines",
    "read_lines",
    "read_text",
    "remove_temporaries",
    "write_json",
    "write_tensors",
    "write_text",
]

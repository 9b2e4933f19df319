"""Files: written whole or not at all, read with errors that name them."""

from pyg_sgm.io._digest import digest
from pyg_sgm.io._hub import hub_answers, only_local
from pyg_sgm.io._images import IMAGE_SUFFIXES, image_orientation, open_image
from pyg_sgm.io._places import (
    cache_folder,
    file_state,
    is_local,
    is_path,
    is_there,
    is_uri,
    list_files,
    local_copies,
    local_copy,
    make_folder_of,
    remove_tree,
    to_path,
)
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
    "cache_folder",
    "counted",
    "digest",
    "file_state",
    "hub_answers",
    "image_orientation",
    "is_local",
    "is_path",
    "is_temporary",
    "is_there",
    "is_uri",
    "list_files",
    "local_copies",
    "local_copy",
    "locked",
    "make_folder_of",
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
    "remove_tree",
    "to_path",
    "write_json",
    "write_tensors",
    "write_text",
]

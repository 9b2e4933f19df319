"""``pyg-sgm serve``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pyg_sgm.cli._app import console, messages
from pyg_sgm.cli._data import NetworkFlags


def serve(
    index: Annotated[str, Parameter(help="Folder of an index, or where else it is.")],
    *,
    run: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    networks: NetworkFlags = None,
    ray: str | None = None,
) -> None:
    """Search an index in the browser, and by an API of JSON.

    It answers to this machine alone, unless it is told to listen elsewhere.

    Parameters
    ----------
    run
        Folder of the matcher that made the index. [default: where it was then]
    host
        Name or address to listen at; 0.0.0.0 is the whole network.
    port
        Port to listen at; 0 takes a free one.
    token
        What requests must know; the page is opened once with it in its address.
    ray
        Address of a Ray cluster whose workers search the shards of the index; auto finds the
        cluster of this machine, local starts one. They see the index by the same name. [default:
        this process]
    """
    from pyg_sgm.cli._data import set_extractor
    from pyg_sgm.cli.index import open_index
    from pyg_sgm.serve import is_local, listen, make_server

    if token == "":
        raise ValueError("--token: is empty")
    with listen(host, port) as sock:
        found = open_index(index, run, ray, networks)
        set_extractor(found.matcher, index, networks)
        server = make_server(found, sock, token=token)
        own = f"[{host}]" if ":" in host else host
        address = f"http://{own}:{sock.getsockname()[1]}/"
        if token is not None:
            from urllib.parse import quote

            address += f"?token={quote(token)}"
        elif not is_local(host):
            messages.print(
                "Whoever reaches this machine can search these photos: --token keeps others out",
                style="yellow",
            )
        console.print(
            f"{len(found):,} photos at {address} (Ctrl-C stops)",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        server.run(sockets=[sock])

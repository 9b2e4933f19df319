"""The HTTP interface of an index: an API of JSON, and a page that uses it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from pyg_sgm import __version__
from pyg_sgm.index import SceneGraphIndex, SearchResult
from pyg_sgm.index.rows import to_text
from pyg_sgm.serve._fastapi import (
    ASGIApp,
    FastAPI,
    Field,
    FileResponse,
    HTTPException,
    JSONResponse,
    Query,
    Request,
    RequestValidationError,
    Response,
    TypeAdapter,
    ValidationError,
)
from pyg_sgm.serve.batches import Busy
from pyg_sgm.serve.forms import (
    MOST_ANSWERS,
    Answer,
    Edits,
    Explained,
    Filter,
    Info,
    Name,
    Options,
    Problem,
    Read,
    Record,
    Search,
    Sentence,
)
from pyg_sgm.serve.guard import MOST_UPLOAD, UPLOAD, Guard
from pyg_sgm.serve.photos import Side
from pyg_sgm.serve.service import Mistake, NotFound, Service

PAGE = Path(__file__).with_name("page")
_FILTERS = TypeAdapter(Annotated[list[Filter], Field(max_length=10)])
_STATUS = {Busy: 503, Mistake: 400, NotFound: 404}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 404, 422, 503)
}
_PHOTO = {"requestBody": {"required": True, "content": {
    "image/*": {"schema": {"type": "string", "format": "binary"}}
}}}  # fmt: skip


def create_app(
    index: SceneGraphIndex,
    *,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    patience: float = 20.0,
) -> ASGIApp:
    """The service of an index as an application for any ASGI server.

    Args:
        index (SceneGraphIndex): An open index.
        token (str, optional): What requests must know. (default: :obj:`None`, nothing)
        hosts (list of str, optional): Names that the service answers to. (default: :obj:`None`,
            any)
        patience (float, optional): Seconds to receive a request. (default: :obj:`20.0`)

    Raises:
        ImportError: Without FastAPI.
    """
    service = Service(index)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    app = FastAPI(
        title="pyg_sgm", summary="Searches photos by what is related to what.",
        version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
    )  # fmt: skip
    _add_errors(app)
    _add_api(app, service)
    _add_page(app)
    service.meters.paths = {getattr(route, "path", "") for route in app.routes}
    return Guard(app, token, hosts, patience, service.meters.count_request)


def _add_api(app: FastAPI, service: Service) -> None:
    @app.get("/api/info", response_model=Info)
    async def info() -> dict[str, Any]:
        """What can be searched."""
        return {**await service.info(), "version": __version__, "most_bytes": MOST_UPLOAD}

    @app.post("/api/parse", response_model=Read, responses=_PROBLEMS)
    async def parse(asked: Sentence) -> dict[str, Any]:
        """Reads a sentence: objects, attributes, relations and what it excludes."""
        return {"query": await service.read(asked.text)}

    @app.post("/api/edit", response_model=Read, responses=_PROBLEMS)
    async def edit(asked: Edits) -> dict[str, Any]:
        """Changes the graph of a query in one thing; its sentence changes with it."""
        return {"query": await service.change(asked.query, asked.edit)}

    @app.post("/api/search", response_model=Answer, responses=_PROBLEMS)
    async def search(asked: Search) -> dict[str, Any]:
        """The best photos for a sentence, a query, or a photo of the index."""
        start = time.perf_counter()
        given = [one for one in (asked.text, asked.query, asked.like) if one is not None]
        if len(given) != 1:
            raise Mistake("give one of text, query and like")
        if asked.like is not None:
            found = await service.search_like(asked.like, asked)
        else:
            found = await service.search(given[0], asked)
        return _answer(*found, start)

    @app.post(UPLOAD, response_model=Answer, responses=_PROBLEMS, openapi_extra=_PHOTO)
    async def similar(
        request: Request,
        k: Annotated[int, Query(ge=1, le=MOST_ANSWERS)] = 24,
        threshold: Annotated[float | None, Query(allow_inf_nan=False)] = None,
        filters: Annotated[str, Query(max_length=4000, description="JSON list of filters.")] = "[]",
    ) -> dict[str, Any]:
        """The photos most like one that is sent as the body of the request."""
        start = time.perf_counter()
        try:
            conditions = _FILTERS.validate_json(filters)
        except ValidationError as error:
            raise Mistake("filters: expected a JSON list of field, op and value") from error
        options = Options(k=k, filters=conditions, threshold=threshold)
        return _answer(*await service.search_sent(await request.body(), options), start)

    @app.post("/api/explain", responses=_PROBLEMS)
    async def explain(asked: Explained) -> dict[str, Any]:
        """Which word matched which box of a photo, and which triplet which pair; or, of a model
        that attends, the attention."""
        return await service.explain(asked.id, asked.query)

    @app.get("/api/record", response_model=Record, responses=_PROBLEMS)
    async def record(id: Name) -> dict[str, Any]:
        """Objects, boxes and relations of a photo."""
        return await service.record(id)

    @app.get("/api/photo", response_class=Response, responses={
        200: {"content": {"image/jpeg": {}}}, 404: {"model": Problem},
    })  # fmt: skip
    async def photo(id: Name, side: Side = Side.LARGE) -> Response:
        """A photo as JPEG, its longer side 320 or 1280 pixels at most."""
        content = await service.photo(id, side)
        kept = {"cache-control": "private, max-age=600"}
        return Response(content, media_type="image/jpeg", headers=kept)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Answers as long as searches are answered."""
        await service.alive()
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counts and times, as Prometheus reads them."""
        return Response(service.meters.text(), media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI) -> None:
    files = {path.name: path for path in PAGE.iterdir() if path.is_file()}
    fresh = {"cache-control": "no-cache"}

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(files["index.html"], headers=fresh)

    @app.get("/api", include_in_schema=False)
    async def api_page() -> FileResponse:
        return FileResponse(files["api.html"], headers=fresh)

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> FileResponse:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return FileResponse(files[name], headers=fresh)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return JSONResponse({"error": f"{place}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)

    async def told(request: Request, error: Exception) -> JSONResponse:
        status = _STATUS[type(error)]
        headers = {"retry-after": "1"} if status == 503 else None
        return JSONResponse({"error": str(error)}, status, headers)

    for kind in _STATUS:
        app.add_exception_handler(kind, told)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the service failed; its log says why"}, 500)


def _answer(query: dict[str, Any] | None, found: SearchResult, start: float) -> dict[str, Any]:
    hits = [
        {
            "id": to_text(hit.id), "rank": hit.rank, "score": hit.score, "levels": hit.levels,
            "missing": hit.missing, "metadata": hit.metadata, "probability": hit.probability,
            "has_photo": hit.path is not None,
        }
        for hit in found.hits
    ]  # fmt: skip
    return {
        "query": query, "hits": hits, "certified": found.certified,
        "num_scored": found.num_scored, "num_images": found.num_images,
        "seconds": time.perf_counter() - start,
    }  # fmt: skip

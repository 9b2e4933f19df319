"""The optional packages of the service, and what to install where they are absent."""

try:
    import uvicorn
    from fastapi import FastAPI, Query, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, JSONResponse
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
    from starlette.datastructures import Headers
    from starlette.exceptions import HTTPException
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as error:
    raise ImportError("the search service needs more: pip install pyg_sgm[serve]") from error

__all__ = [
    "ASGIApp",
    "BaseModel",
    "CollectorRegistry",
    "ConfigDict",
    "Counter",
    "FastAPI",
    "Field",
    "FileResponse",
    "Gauge",
    "H11Protocol",
    "HTTPException",
    "Headers",
    "Histogram",
    "JSONResponse",
    "Message",
    "Query",
    "Receive",
    "Request",
    "RequestValidationError",
    "Response",
    "Scope",
    "Send",
    "TypeAdapter",
    "ValidationError",
    "generate_latest",
    "uvicorn",
]

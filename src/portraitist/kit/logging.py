"""Structured logs: readable on a terminal, one JSON object a line elsewhere, always to standard error.

Everything passes here, libraries' logs too, and loses what a log must never hold: secrets, prompts, the
query part of addresses. What is logged is each caller's choice.
"""

import hmac
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(
    r"token|authorization|prompt|password|secret|cookie|api_?key|url.?query", re.IGNORECASE
)
_QUERY = re.compile(r"(?<=[\w/%.~-]\?)[^\s\"'<>?]*=[^\s\"'<>]*")  # of URLs and of bare request paths
_USER_INFO = re.compile(r"(?<=://)[^\s/@\"']+@")
_BEARER = re.compile(r"(?i)\b(bearer|token)\s+[\w.~+/=-]{8,}")


@dataclass(frozen=True)
class Pseudonyms:
    """What stands in logs for ids that lead to somebody: the same for the same id, and no way back without the id.

    `fields` are the keys whose whole value is an id; `in_text` finds ids inside any text.
    """

    key: bytes
    fields: frozenset[str]
    in_text: re.Pattern[str]

    def of(self, known_id: str) -> str:
        """The name of this id in logs."""
        return "~" + hmac.new(self.key, known_id.encode(), "sha256").hexdigest()[:12]

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """The line with every id replaced."""
        return {key: self._named(key, value) for key, value in event.items()}

    def _named(self, key: str, value: Any) -> Any:
        if key.startswith("_"):  # structlog's own (`_record`)
            return value
        if isinstance(value, str):
            return self.of(value) if key in self.fields else self.in_text.sub(lambda m: self.of(m[0]), value)
        if isinstance(value, Mapping):
            return {inner: self._named(str(inner), each) for inner, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._named(key, each) for each in value]
        return value


def configure(*, json: bool | None = None, level: str = "info", pseudonyms: Pseudonyms | None = None) -> None:
    """Set logging up for this process; call it once, at its start. `json=None`: unless on a terminal."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(_exception_text),
        redact,
        *([pseudonyms] if pseudonyms else []),
    ]
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module; give facts as keywords: `log.info("job done", kind=kind)`."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


def _exception_text(exc_info: ExcInfo) -> str:
    """The traceback, with the messages that quote what was stored or sent cut down to what they are about."""
    texts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        texts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}: {_message(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nafter:\n".join(texts)


def _message(error: BaseException) -> str:
    """Databases quote whole rows, and validators the input: of those only the code and the place are told."""
    if (sqlstate := getattr(error, "sqlstate", None)) is not None:
        diag = getattr(error, "diag", None)
        about = [getattr(diag, name, None) for name in ("table_name", "column_name", "constraint_name")]
        return " ".join(filter(None, (f"SQLSTATE {sqlstate}", *about)))
    if callable(errors := getattr(error, "errors", None)):
        return "; ".join(
            f"{each.get('loc')}: {each.get('type')}" for each in errors() if isinstance(each, dict)
        )
    return str(error)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take out secrets by the names of their keys, and by their looks in any text."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if key.startswith("_"):  # structlog's own (`_record`)
        return value
    if _SECRET_KEY.search(key):
        return REDACTED
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {inner: _clean(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", each) for each in value]
    return value


def clean_text(text: str) -> str:
    """A text without the query parts and passwords of addresses, and without bearer tokens."""
    text = _QUERY.sub(REDACTED, text)
    text = _USER_INFO.sub(f"{REDACTED}@", text)
    return _BEARER.sub(rf"\1 {REDACTED}", text)

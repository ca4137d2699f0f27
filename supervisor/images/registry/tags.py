"""All tags of a repository (OCI distribution-spec, Listing Tags), page by page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.images.registry.endpoints import tags_path
from pysup.supervisor.spec.reference import Reference, parse_reference

if TYPE_CHECKING:
    from pysup.supervisor.images.registry.session import Session

_NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?', re.ASCII)
_MOST = 10_000
_LONGEST = 4 << 20
"""Bytes of a page."""
_OK = 200


async def tags(session: Session, name: Reference) -> list[Reference]:
    """The repository of a name with each of its tags. Raises NotFound, Forbidden, Unavailable."""
    found: dict[str, None] = {}
    page = tags_path(name.path)
    while page:
        answer = await session.ask("GET", page, expected=(_OK,), limit=_LONGEST)
        before = len(found)
        found.update(dict.fromkeys(_read(session, answer.content)))
        page = next_page(session.endpoint.url, answer.headers.get("link", "")) if len(found) > before else ""
        if len(found) > _MOST:
            raise Unavailable(f"cannot {session.task}: the repository has more than {_MOST} tags")
    return [_tagged(session, name, tag) for tag in found]


def _read(session: Session, content: bytes) -> list[str]:
    try:
        document: Any = json.loads(content)
        listed = document["tags"] or []
    except (ValueError, RecursionError, KeyError, TypeError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
        raise Unavailable(f"cannot {session.task}: the registry's list of tags is none")
    return listed


def _tagged(session: Session, name: Reference, tag: str) -> Reference:
    """A registry is a stranger: what it lists may be no tag."""
    try:
        return parse_reference(str(name._replace(tag=tag, digest="")))
    except ValueError as error:
        raise Unavailable(f"cannot {session.task}: {error}") from None


def next_page(asked: str, link: str) -> str:
    """The next page that a ``Link`` header names (RFC 8288), at the registry itself; empty: there is none."""
    match = _NEXT.search(link)
    if match is None:
        return ""
    try:
        url = urljoin(asked + "/", match[1])
        return url if urlsplit(url)[:2] == urlsplit(asked)[:2] else ""
    except ValueError:
        return ""

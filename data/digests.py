"""Checksums that HTTP servers send of a file."""

import base64
import binascii

import httpx
from pydantic import BaseModel, ConfigDict, Field

ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}
"""Names in headers, and in hashlib."""


class Digest(BaseModel):
    """A checksum of a whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: str = Field(..., description="name in hashlib")
    hex: str = Field(..., description="value")


def digests_of(answer: httpx.Response, *, whole: bool) -> tuple[Digest, ...]:
    """Checksums of the whole file in the headers of an answer.

    `Repr-Digest` (RFC 9530) and `Digest` (RFC 3230) are of the whole file in any answer; `Content-Digest`
    (RFC 9530) and `Content-MD5` (RFC 2616, section 14.15) are of the body, which is the file only if `whole`.
    """
    found = []
    for header in ("Repr-Digest", "Digest", *(["Content-Digest"] if whole else [])):
        for entry in answer.headers.get(header, "").split(","):
            name, _, value = entry.strip().partition("=")
            found.append((name.lower(), value.strip(":")))
    if whole:
        found.append(("md5", answer.headers.get("Content-MD5", "")))
    read = ((ALGORITHMS[name], _hex(value)) for name, value in found if name in ALGORITHMS)
    return tuple(dict.fromkeys(Digest(algorithm=name, hex=value) for name, value in read if value))


def _hex(value: str) -> str | None:
    """Base64 to hex; None for what is not base64."""
    try:
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return None

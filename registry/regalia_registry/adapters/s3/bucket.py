"""The calls of a bucket that we need, with what we always ask of them; errors are boto3's."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5, sha256

import boto3
from botocore.config import Config
from botocore.parsers import ResponseParserError

from regalia_registry.adapters.s3.address import Address
from regalia_registry.adapters.s3.reading import Part

_PAGE = 1000
_LIVES_S = 300
_BINARY = "application/octet-stream"
_RANGE = re.compile(r"bytes ([0-9]{1,16})-([0-9]{1,16})/([0-9]{1,16})\Z")
_NO_LENGTH = "an answer without a length"

SentPart = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that is not an object yet."""

    key: str
    id: str
    begun: datetime | None = None


class Bucket:
    """A bucket, spoken to as its address says. Thread-safe."""

    def __init__(self, address: Address) -> None:
        """Open no connection yet."""
        self.name = address.bucket
        session = boto3.session.Session()  # one for both: what it knows of S3 takes 13 MB
        self._client = _client(session, address, address.endpoint)
        self._signer = self._client if address.public is None else _client(session, address, address.public)
        self._checksum = address.checksum
        self._made = {"ContentType": _BINARY}
        if address.encryption is not None:
            self._made["ServerSideEncryption"] = address.encryption
        if address.kms_key is not None:
            self._made["SSEKMSKeyId"] = address.kms_key

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Part:
        """Ask for an object from `start` up to `stop`; of what is asked in vain a 416 tells."""
        is_part = start > 0 or stop is not None
        asked = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if is_part else {}
        answer = self._client.get_object(Bucket=self.name, Key=key, **asked)
        matched = _RANGE.match(answer.get("ContentRange", ""))
        if matched is not None:
            first, last, total = map(int, matched.groups())
            return Part(answer["Body"], first, last + 1, total)
        size_bytes = answer.get("ContentLength")
        if size_bytes is None:
            raise ResponseParserError(_NO_LENGTH)
        return Part(answer["Body"], 0, size_bytes, size_bytes)

    def put(self, key: str, body: bytearray, condition: Mapping[str, str]) -> None:
        """Make an object at once."""
        self._client.put_object(Bucket=self.name, Key=key, Body=body, **condition, **self._made, **self._guarded(body))

    def begin(self, key: str) -> Upload:
        """Begin an upload in parts."""
        algorithm = {"ChecksumAlgorithm": "SHA256"} if self._checksum == "sha256" else {}
        answer = self._client.create_multipart_upload(Bucket=self.name, Key=key, **algorithm, **self._made)
        return Upload(key, answer["UploadId"])

    def send(self, upload: Upload, number: int, body: bytearray) -> SentPart:
        """Send a part; gives what completes the upload."""
        guard = self._guarded(body)
        answer = self._client.upload_part(
            Bucket=self.name, Key=upload.key, UploadId=upload.id, PartNumber=number, Body=body, **guard
        )
        kept = {name: value for name, value in guard.items() if name != "ContentMD5"}
        return {"PartNumber": number, "ETag": answer["ETag"], **kept}

    def complete(self, upload: Upload, parts: Sequence[SentPart], condition: Mapping[str, str]) -> None:
        """Make an object of the parts."""
        self._client.complete_multipart_upload(
            Bucket=self.name,
            Key=upload.key,
            UploadId=upload.id,
            MultipartUpload={"Parts": list(parts)},
            **condition,
        )

    def abort(self, upload: Upload) -> None:
        """Forget an upload and its parts."""
        self._client.abort_multipart_upload(Bucket=self.name, Key=upload.key, UploadId=upload.id)

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """Walk the uploads that are not objects yet."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
        for page in pages:
            for one in page.get("Uploads", []):
                yield Upload(one["Key"], one["UploadId"], one["Initiated"])

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        self._client.delete_object(Bucket=self.name, Key=key)

    def page(self, prefix: str, *, after: str | None, limit: int = _PAGE) -> tuple[list[str], bool]:
        """List keys in their order from behind one; gives as well whether there are more."""
        behind = {} if after is None else {"StartAfter": after}
        answer = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=limit, **behind)
        if "IsTruncated" not in answer:
            raise ResponseParserError(_NO_LENGTH)
        return [str(one["Key"]) for one in answer.get("Contents", [])], bool(answer["IsTruncated"])

    def presigned(self, key: str) -> str:
        """Give an address where anybody can read the object for five minutes."""
        asked = {"Bucket": self.name, "Key": key}
        return str(self._signer.generate_presigned_url("get_object", Params=asked, ExpiresIn=_LIVES_S))

    def _guarded(self, body: bytearray) -> dict[str, str]:
        """Give what the server checks the bytes with."""
        if self._checksum == "sha256":
            return {"ChecksumSHA256": b64encode(sha256(body).digest()).decode("ascii")}
        return {"ContentMD5": b64encode(md5(body, usedforsecurity=False).digest()).decode("ascii")}


def _client(session: boto3.session.Session, address: Address, endpoint: str | None):  # type: ignore[no-untyped-def] # boto3 has no types
    config = Config(
        signature_version="s3v4",
        connect_timeout=3,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=64,
        s3={"addressing_style": "path" if address.path_style else "auto"},
        # boto3's own checksums come as trailers that not every server knows; ours stand in headers
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session.client("s3", region_name=address.region, endpoint_url=endpoint, config=config)

"""Who may do what: rights on namespaces, held by actors."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from regalia.core.errors import ForbiddenError, InvalidError, NotFoundError
from regalia.core.names import check_namespace

EVERYWHERE = "*"
_TOKEN = re.compile(r"rgl_[A-Za-z0-9_-]{43}\Z")


class Right(StrEnum):
    """What a token may do."""

    READ = "read"
    PUBLISH = "publish"
    PROMOTE = "promote"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights on one namespace, or on all of them."""

    namespace: str
    rights: frozenset[Right]

    @classmethod
    def of(cls, namespace: str, rights: Iterable[str]) -> "Grant":
        """Check and make a grant."""
        if namespace != EVERYWHERE:
            check_namespace(namespace)
        unknown = sorted(set(rights) - set(Right))
        if unknown:
            raise InvalidError(f'"{unknown[0][:40]}" is no right', hint=f"rights are {', '.join(Right)}")
        return cls(namespace, frozenset(map(Right, rights)))

    def covers(self, namespace: str) -> bool:
        """Say whether the grant is about the namespace."""
        return self.namespace in {EVERYWHERE, namespace}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an opaque id for the record, a name for people, and the grants."""

    id: str
    name: str
    grants: tuple[Grant, ...]

    def rights_on(self, namespace: str) -> frozenset[Right]:
        """Collect the rights on a namespace; admin implies the others."""
        found = frozenset[Right]().union(*(grant.rights for grant in self.grants if grant.covers(namespace)))
        return frozenset(Right) if Right.ADMIN in found else found

    def require(self, right: Right, *, on: str) -> None:
        """Refuse without the right.

        Raises:
            NotFoundError: The actor has no right here at all, so it isn't told what there is.
            ForbiddenError: It has another right.
        """
        rights = self.rights_on(on)
        if not rights:
            raise NotFoundError(f'there is no namespace "{on}" for this token', hint="reg token list shows its rights")
        if right not in rights:
            raise ForbiddenError(
                f'this token may {", ".join(sorted(rights))} in "{on}", not {right}',
                hint=f"ask an admin: reg token create --right {right} --namespace {on}",
            )

    def require_admin(self) -> None:
        """Refuse without admin everywhere.

        Raises:
            ForbiddenError: The actor isn't.
        """
        if Right.ADMIN not in self.rights_on(EVERYWHERE):
            raise ForbiddenError(
                "this needs a token with admin on all namespaces", hint="reg login with the admin token"
            )


SYSTEM = Actor("system", "reg serve", (Grant(EVERYWHERE, frozenset(Right)),))


def make_token(secret: bytes) -> str:
    """Spell 32 random bytes as a token."""
    return "rgl_" + base64.urlsafe_b64encode(secret).decode("ascii").rstrip("=")


def hash_token(token: str) -> str | None:
    """Give the hex SHA-256 that a token is stored by, or None where it has no token's form."""
    return hashlib.sha256(token.encode("ascii")).hexdigest() if _TOKEN.match(token) else None

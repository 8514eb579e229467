"""What the URL of a target may be, as far as it is told without its engine's library: a web process loads none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from regalia.core.errors import InvalidError


@dataclass(frozen=True, slots=True)
class AddressForm:
    """How the URLs of a provider are spelled, and which options they may have behind a question mark."""

    called: str
    spelled: re.Pattern[str]
    example: str
    options: frozenset[str] = frozenset()

    def require(self, url: str) -> None:
        """Refuse what the provider would refuse; the message repeats no more of it than an option's name.

        Raises:
            InvalidError: It is no address of the engine.
        """
        place, _, query = url.partition("?")
        named = {option.partition("=")[0] for option in query.split("&") if option}
        spelled = self.spelled.match(place)
        if spelled is None:
            raise InvalidError(f"the target's URL is no {self.called}", hint=self.example)
        if "host" in self.options and not (spelled["host"] or "host" in named):
            raise InvalidError("the target's URL names no host", hint=self.example)
        strangers = sorted(named - self.options)
        if strangers:
            allowed = ", ".join(sorted(self.options)) or "none"
            raise InvalidError(
                f'the target\'s URL says "{strangers[0][:40]}", which is not allowed', hint=f"allowed: {allowed}"
            )


POSTGRESQL = AddressForm(
    "PostgreSQL address",
    re.compile(r"postgres(?:ql)?://(?:[^/@]*@)?(?P<host>[^/]*)(?:/.*)?\Z"),
    "postgresql://user@host:5432/database?sslmode=verify-full",
    # Not here: options (settings of the session), service, passfile (other files), timeouts (ours).
    frozenset(
        {
            "host",
            "port",
            "dbname",
            "user",
            "sslmode",
            "sslrootcert",
            "sslcert",
            "sslkey",
            "sslcrl",
            "channel_binding",
            "require_auth",
            "target_session_attrs",
        }
    ),
)
WEAVIATE = AddressForm(
    "Weaviate address",
    re.compile(r"https?://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?/?\Z"),
    "http://host:8080?grpc=50051, or https://…",
    frozenset({"grpc"}),
)
FILES = AddressForm("folder", re.compile(r"file://(?:localhost)?/.*\Z"), "file:///folder, where the worker may read")

_FORMS: Mapping[str, AddressForm] = {"pgvector": POSTGRESQL, "weaviate": WEAVIATE, "files": FILES}


def require_address(provider: str, url: str) -> None:
    """Refuse a URL that a provider of ours would refuse; what another's takes is its own to say.

    Raises:
        InvalidError: It is none of this provider's.
    """
    form = _FORMS.get(provider)
    if form is not None:
        form.require(url)

"""The trust root beyond its vectors: who may sign what, and the walk as a law."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.dsse import Envelope
from regalia.core.errors import EquivocationError, SignatureError, TrustRootError, VerificationError
from regalia.core.keys import Scheme
from regalia.core.names import ApplicationName
from regalia.core.signing import SigningKey
from regalia.core.trust import MAX_ROOT_STEPS, ROOT_PAYLOAD, Delegation, Role, Root, TrustedRoot

OWNER, NEXT_OWNER, FIRST, SECOND, THIRD = (SigningKey.generate(Scheme.ED25519) for _ in range(5))
AGENT, BILLING = ApplicationName("acme", "agent"), ApplicationName("acme", "billing")
PATTERNS = st.sampled_from(["*", "acme/*", "acme/agent", "acme/billing", "other/*", "other/agent"])
CHANNELS = st.sampled_from(["*", "prod", "staging"])


def delegated(
    role: str, key: SigningKey, apps: tuple[str, ...] = ("*",), channels: tuple[str, ...] = ("*",), epoch: int = 1
) -> Delegation:
    return Delegation(role, apps, channels, (key.keyid,), 1, epoch)


def root(*delegations: Delegation, version: int = 1, owner: SigningKey = OWNER, domain: str = "acme-1") -> Root:
    keys = {key.keyid: key.public for key in (owner, FIRST, SECOND, THIRD)}
    expires = datetime(2036, 1, 1, tzinfo=UTC)
    return Root(domain, version, expires, keys, (owner.keyid,), 1, delegations)


def sealed(unsigned: Root, *signers: SigningKey) -> bytes:
    return bytes(Envelope.sign(ROOT_PAYLOAD, unsigned.payload(), signers or [OWNER]))


def test_a_root_reads_back_from_its_payload() -> None:
    written = root(delegated("channel", FIRST, ("acme/*",), ("prod",), epoch=3), delegated("gardener", SECOND))

    assert TrustedRoot.bootstrap(sealed(written)).root == written


def test_the_first_delegation_that_matches_decides() -> None:
    special = delegated("channel", SECOND, ("acme/agent",), ("prod",), epoch=2)
    general = delegated("channel", FIRST)
    trusted = root(special, general)

    assert trusted.delegation(Role.CHANNEL, AGENT, "prod") == special
    assert trusted.delegation(Role.CHANNEL, AGENT, "staging") == general
    assert trusted.delegation(Role.CHANNEL, BILLING, "prod") == general


def test_where_nothing_matches_nobody_may_sign() -> None:
    trusted = root(delegated("channel", FIRST, ("acme/agent",), ("prod",)))

    for role, application, channel in [
        (Role.CHANNEL, BILLING, "prod"),
        (Role.CHANNEL, AGENT, "staging"),
        (Role.RELEASE, AGENT, None),
    ]:
        with pytest.raises(SignatureError, match="nobody may sign"):
            trusted.delegation(role, application, channel)


def test_a_later_matching_delegation_does_not_help() -> None:
    trusted = root(delegated("channel", FIRST, ("acme/agent",)), delegated("channel", SECOND))
    envelope = Envelope.sign("text/plain", b"payload", [SECOND])

    with pytest.raises(SignatureError) as caught:
        trusted.require(envelope, Role.CHANNEL, AGENT, "prod")

    assert caught.value.step == "pointer"
    assert trusted.require(envelope, Role.CHANNEL, BILLING, "prod").keyids == (SECOND.keyid,)


@given(PATTERNS, CHANNELS, PATTERNS, CHANNELS)
def test_a_root_never_holds_a_delegation_that_no_one_reaches(apps: str, channel: str, more: str, other: str) -> None:
    first, second = delegated("channel", FIRST, (apps,), (channel,)), delegated("channel", SECOND, (more,), (other,))

    try:
        trusted = root(first, second)
    except TrustRootError:
        assert first.hides(second)  # the refusal is half of the law
        return

    names = [
        ApplicationName.parse(name)
        for name in ("acme/agent", "acme/billing", "acme/x", "other/agent", "other/x", "z/z")
    ]
    places = [(name, place) for name in names for place in ("prod", "staging", "dev")]
    reached = [trusted.delegation(Role.CHANNEL, *place) for place in places if second.covers(*place)]
    assert second in reached


def test_a_pattern_of_a_namespace_matches_no_longer_name() -> None:
    trusted = root(delegated("release", FIRST, ("acme/*",)))

    with pytest.raises(SignatureError):
        trusted.delegation(Role.RELEASE, ApplicationName("acme-evil", "agent"))


@pytest.mark.parametrize("role", ["release", "freshness", "gardener", "root"])
def test_a_key_stands_in_one_role_only(role: str) -> None:
    with pytest.raises(TrustRootError, match="in the roles"):
        root(delegated("channel", FIRST), delegated(role, FIRST))


def test_one_role_may_use_a_key_twice() -> None:
    assert root(delegated("channel", FIRST, ("acme/agent",)), delegated("channel", FIRST, ("acme/*",)))


@given(st.permutations(range(1, 6)), st.integers(1, 5))
def test_a_walk_ends_at_the_newest_root_that_it_can_reach_step_by_step(order: list[int], start: int) -> None:
    chain = {version: sealed(root(version=version)) for version in range(1, 6)}
    trusted = TrustedRoot.bootstrap(chain[start])

    reached = start
    for version in order:
        if version > reached + 1:
            with pytest.raises(TrustRootError, match="one is missing"):
                trusted.step(chain[version])
            continue
        trusted = trusted.step(chain[version])
        reached = max(reached, version)

    assert trusted.root.version == reached


def test_a_step_keeps_the_bytes_that_prove_it() -> None:
    first, second = sealed(root()), sealed(root(version=2))

    walked = TrustedRoot.bootstrap(first).walk([first, second])

    assert walked.envelope == second
    assert TrustedRoot.bootstrap(walked.envelope) == walked


def test_a_failed_walk_names_its_step() -> None:
    with pytest.raises(VerificationError) as caught:
        TrustedRoot.bootstrap(sealed(root())).step(sealed(root(version=2, owner=NEXT_OWNER), NEXT_OWNER))

    assert caught.value.step == "root"


def test_more_signatures_make_no_other_root() -> None:
    first = root()

    again = TrustedRoot.bootstrap(sealed(first)).step(sealed(first, OWNER, NEXT_OWNER))

    assert again.envelope == sealed(first)


def test_one_version_with_two_contents_is_equivocation() -> None:
    with pytest.raises(EquivocationError):
        TrustedRoot.bootstrap(sealed(root())).step(sealed(root(delegated("log", FIRST))))


def test_a_walk_of_too_many_steps_is_refused_unread() -> None:
    with pytest.raises(TrustRootError, match="cap is 256"):
        TrustedRoot.bootstrap(sealed(root())).walk([b""] * (MAX_ROOT_STEPS + 1))


@given(st.binary(max_size=60))
def test_any_bytes_as_a_root_are_refused(body: bytes) -> None:
    with pytest.raises(TrustRootError):
        TrustedRoot.bootstrap(body)

"""Signing what was prepared with the registry's own key: the catalog alone could be made to say something else."""

from collections.abc import Sequence

from regalia.core.dsse import Envelope, Signature, pae
from regalia.core.errors import UnavailableError
from regalia.core.preparation import PREPARATION_PAYLOAD, Preparation
from regalia.core.statements import Place
from regalia.core.trust import Role
from regalia.wire.resolution import encode
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.plans import MoveWish
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.trust import current_root


def vouch(ports: Ports, operation: Operation, places: Sequence[Place]) -> str:
    """Sign that these collections were proved for an operation; gives the envelope as it travels.

    Raises:
        UnavailableError: This worker does not hold the key that the root names.
    """
    wish = MoveWish.parse(operation.request)
    with ports.store.read() as tx:
        root = current_root(tx).root
    delegation = root.delegation(Role.FRESHNESS, wish.application, wish.channel)
    signers = ports.keys.freshness_signers(delegation.keyids)
    if len(signers) < delegation.threshold:
        raise UnavailableError(
            "this registry does not hold the freshness key that the trust root names",
            hint="a worker needs the data folder's keys as web processes do; see the page on a lost freshness key",
        )
    said = Preparation(
        root.trust_domain, wish.application, wish.channel, wish.bundle, operation.id, tuple(places)
    ).payload()
    message = pae(PREPARATION_PAYLOAD, said)
    signatures = tuple(Signature(signer.keyid, signer.sign(message)) for signer in signers)
    return encode(bytes(Envelope(PREPARATION_PAYLOAD, said, signatures)))

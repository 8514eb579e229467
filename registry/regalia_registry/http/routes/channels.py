"""Channels: what they name, and their next pointer."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError
from regalia.core.names import Slot, check_segment
from regalia.core.statements import Move
from regalia.wire.answers import ChannelEntry, Moved, OperationEntry, PlacingsEntry, PointerEntry, Proposal
from regalia.wire.resolution import decode
from regalia_registry.domain.adoption import AdoptWish
from regalia_registry.domain.placing import MAX_PLACINGS, Mode, Placing
from regalia_registry.domain.plans import MoveWish
from regalia_registry.http.dependencies import (
    After,
    ApplicationPath,
    ChannelPath,
    CurrentCaller,
    CurrentPorts,
    CurrentResolver,
    CurrentSightings,
    Limit,
    bundle_reference,
)
from regalia_registry.http.pages import Page, page_of
from regalia_registry.http.resolve import answer
from regalia_registry.services import channels, moves, moving

router = APIRouter(prefix="/v1/apps/{namespace}/{name}/channels", tags=["channels"])


class PointerIn(BaseModel):
    """A signed pointer as base64, and what the deployer states beside it."""

    model_config = ConfigDict(extra="forbid")

    pointer: str
    ticket: str | None = Field(default=None, max_length=200)
    approver: str | None = Field(default=None, max_length=200)
    hold: bool = False
    operation: str | None = Field(default=None, max_length=64)
    unplaced: bool = False


class PlacingIn(BaseModel):
    """Where a channel places one slot."""

    model_config = ConfigDict(extra="forbid")

    slot: str = Field(max_length=64)
    target: str = Field(max_length=64)
    logical: str = Field(max_length=64)
    mode: Mode = Mode.FROZEN
    alias: str | None = Field(default=None, max_length=128)
    standby: bool = False

    def placing(self) -> Placing:
        """Give it as the domain's."""
        return Placing(Slot.parse(self.slot), self.target, self.logical, self.mode, self.alias, self.standby)


class PlacingsIn(BaseModel):
    """Where a channel places its snapshots, and whether it demands a warm way back; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    placings: list[PlacingIn] | None = Field(default=None, max_length=MAX_PLACINGS)
    require_warm: bool | None = None

    def sorted_placings(self) -> tuple[Placing, ...] | None:
        """Give them as the domain's."""
        if self.placings is None:
            return None
        return tuple(sorted((one.placing() for one in self.placings), key=lambda one: str(one.slot)))


class MoveIn(BaseModel):
    """A move to prepare: `move` is left out where the collections are to be made, and nothing is to be signed."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(max_length=80)
    move: Move | None = None
    plan: bool = False
    supersede: bool = False
    seal_first: bool = False


class AdoptIn(BaseModel):
    """A collection to adopt into a slot of the channel's current bundle."""

    model_config = ConfigDict(extra="forbid")

    bundle: str = Field(max_length=80)
    slot: str = Field(max_length=64)
    target: str = Field(max_length=64)
    collection: str = Field(min_length=1, max_length=256)
    plan: bool = False


@router.get("")
def list_channels(
    application: ApplicationPath, caller: CurrentCaller, ports: CurrentPorts, after: After = None, limit: Limit = 50
) -> Page[ChannelEntry]:
    """List channels by name, each with its pointer."""
    found = channels.list_channels(ports, caller, application=application, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.channel)


@router.get("/{channel}")
def get_channel(
    application: ApplicationPath, channel: ChannelPath, caller: CurrentCaller, ports: CurrentPorts
) -> ChannelEntry:
    """Get a channel with its pointer."""
    return channels.get_channel(ports, caller, application=application, channel=channel)


@router.get("/{channel}/history")
def channel_history(
    application: ApplicationPath,
    channel: ChannelPath,
    caller: CurrentCaller,
    ports: CurrentPorts,
    after: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Limit = 50,
) -> Page[PointerEntry]:
    """List a channel's pointers, newest first."""
    found = channels.channel_history(ports, caller, application=application, channel=channel, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: str(entry.sequence))


@router.get("/{channel}/resolve", response_class=Response)
def resolve_channel(
    request: Request,
    resolver: CurrentResolver,
    sightings: CurrentSightings,
    root: Annotated[str | None, Query(description="the number of the root that the client has")] = None,  # noqa: ARG001 # documented here, read from the path by the shared function
    have: Annotated[str | None, Query(description="the bundle that the client has")] = None,  # noqa: ARG001 # as above
) -> Response:
    """Resolve a channel: everything that an agent verifies and starts from, in one answer."""
    request_id = request.state.request_id
    status, headers, body = answer(request.scope, resolver, sightings, look=resolver.look, request_id=request_id)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


@router.get("/{channel}/proposal")
def propose(
    application: ApplicationPath,
    channel: ChannelPath,
    caller: CurrentCaller,
    ports: CurrentPorts,
    to: Annotated[str | None, Query(max_length=200, description="the bundle, by version or digest")] = None,
    move: Annotated[Move, Query()] = Move.PROMOTE,
    root: Annotated[int, Query(ge=0, le=2**53)] = 0,
    operation: Annotated[str | None, Query(max_length=64, description="which has prepared the collections")] = None,
) -> Proposal:
    """Get what a signer needs to build the next pointer."""
    reference = None if to is None else bundle_reference(application, to)
    if reference is None and move is not Move.RENEW:
        raise InvalidError(f'a {move} needs "to": the bundle to name')
    return channels.propose(ports, caller, channels.Wish(application, channel, reference, move, root, operation))


@router.post("/{channel}/pointers", status_code=201)
def move_channel(
    application: ApplicationPath,
    channel: ChannelPath,
    sent: PointerIn,
    response: Response,
    caller: CurrentCaller,
    ports: CurrentPorts,
) -> Moved:
    """Move the channel; 200 where this very pointer is current already."""
    pointer = decode(sent.pointer, what="the pointer")
    submission = moves.Submission(
        pointer, sent.ticket, sent.approver, hold=sent.hold, operation=sent.operation, unplaced=sent.unplaced
    )
    moved = moves.move_channel(ports, caller, application=application, channel=channel, submission=submission)
    response.status_code = 201 if moved.created else 200
    return moved


@router.get("/{channel}/placings")
def get_placings(
    application: ApplicationPath, channel: ChannelPath, caller: CurrentCaller, ports: CurrentPorts
) -> PlacingsEntry:
    """Get where a channel places its snapshots."""
    return channels.get_placings(ports, caller, application=application, channel=channel)


@router.put("/{channel}/placings")
def put_placings(
    application: ApplicationPath, channel: ChannelPath, sent: PlacingsIn, caller: CurrentCaller, ports: CurrentPorts
) -> PlacingsEntry:
    """Say where a channel places its snapshots, in place of what was said."""
    setting = channels.ChannelSetting(application, channel, sent.sorted_placings(), sent.require_warm)
    return channels.put_placings(ports, caller, setting)


@router.post("/{channel}/operations", status_code=202)
def start_move(
    application: ApplicationPath, channel: ChannelPath, sent: MoveIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a move to be prepared by a worker; its pointer is signed and sent once it is."""
    wish = MoveWish(
        application, channel, Digest.parse(sent.to), sent.move, is_plan=sent.plan, seals_first=sent.seal_first
    )
    return moving.start_move(ports, caller, wish=wish, supersede=sent.supersede)


@router.post("/{channel}/adoptions", status_code=202)
def start_adoption(
    application: ApplicationPath, channel: ChannelPath, sent: AdoptIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a collection in use to become the channel's live one; its pointer is signed and sent then."""
    move = MoveWish(application, channel, Digest.parse(sent.bundle), Move.REBIND, is_plan=sent.plan)
    wish = AdoptWish(move, Slot.parse(sent.slot), check_segment(sent.target, what="target"), sent.collection)
    return moving.start_adoption(ports, caller, wish=wish)

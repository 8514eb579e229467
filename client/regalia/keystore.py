"""This machine's private keys: files that only their owner reads, or what the environment hands in."""

import io
import os
import tarfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from regalia.core.errors import ConfigurationError, ConflictError
from regalia.core.keys import Scheme
from regalia.core.signing import SigningKey
from regalia.core.values import frozen
from regalia.places import keys_folder, write_private

SIGNING_ROLES = ("root", "release", "channel")

_MAX_KEY = 16 * 1024
_MAX_BACKUP = 1024 * 1024
_MIN_PASSPHRASE = 12

AskPassphrase = Callable[[str], str]


@frozen
class KeyFile:
    """A private key on this machine; `problem` says what is wrong with its file."""

    role: str
    path: Path
    keyid: str
    is_protected: bool
    problem: str = ""


class Keystore:
    """The keys of one trust domain."""

    def __init__(self, environment: Mapping[str, str], trust_domain: str, *, ask: AskPassphrase | None = None) -> None:
        """Read nothing yet; `ask` is asked for the passphrase of a protected key."""
        self._environment = environment
        self._ask = ask
        self.folder = keys_folder(environment, trust_domain)

    def signer(self, role: str, keyids: Collection[str]) -> SigningKey:
        """Get a key of a role that the root names.

        Raises:
            ConfigurationError: This machine has none.
        """
        given = self._environment.get(f"REGALIA_{role.upper()}_KEY")
        keys = [self._load(pem, role) for pem in ([_given(given)] if given else map(_read, self._paths(role)))]
        for key in keys:
            if key.keyid in keyids:
                return key
        if keys:
            raise ConfigurationError(
                f"the trust root does not name this machine's {role} key {keys[-1].keyid[:12]}",
                hint=f"have the root's holder add it: reg trust add-key {role}",
            )
        raise ConfigurationError(
            f"this machine has no {role} key",
            hint=f"reg key create --role {role}, or set REGALIA_{role.upper()}_KEY",
        )

    def create(self, role: str, *, scheme: Scheme = Scheme.P256) -> tuple[SigningKey, Path]:
        """Make a key beside those that are there."""
        key = SigningKey.generate(scheme)
        path = self.folder / f"{role}.pem"
        if path.exists():
            path = self.folder / f"{role}-{key.keyid[:8]}.pem"
        write_private(path, key.pem())
        return key, path

    def files(self) -> list[KeyFile]:
        """List the keys, without asking for a passphrase."""
        return [_described(path) for path in sorted(self.folder.glob("*.pem"))]

    def backup(self, file: Path, passphrase: str) -> int:
        """Write all keys into one file, each encrypted under the passphrase; gives how many."""
        _check_passphrase(passphrase)
        if file.exists():
            raise ConflictError(f'"{file}" exists', hint="choose another name; a backup is never overwritten")
        paths = sorted(self.folder.glob("*.pem"))
        if not paths:
            raise ConfigurationError(f'there is no key in "{self.folder}"', hint="reg key create --role release")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in paths:
                key = self._load(_read(path), path.stem)
                encrypted = key.pem(passphrase=passphrase.encode())
                entry = tarfile.TarInfo(path.name)
                entry.size, entry.mode = len(encrypted), 0o600
                archive.addfile(entry, io.BytesIO(encrypted))
        write_private(file.absolute(), buffer.getvalue())
        return len(paths)

    def restore(self, file: Path, passphrase: str) -> list[Path]:
        """Bring back the keys of a backup that are not there.

        Raises:
            ConfigurationError: It is no backup, or the passphrase is another.
            ConflictError: A key of the same name is another key.
        """
        found = {name: SigningKey.parse(pem, passphrase=passphrase.encode()) for name, pem in _unpacked(file).items()}
        written = []
        for name, key in found.items():
            path = self.folder / name
            if path.exists():
                if self._load(_read(path), path.stem).keyid != key.keyid:
                    raise ConflictError(f'"{path}" is another key than the backup\'s', hint="move it away first")
                continue
            write_private(path, key.pem())
            written.append(path)
        return written

    def protect(self, passphrase: str) -> list[Path]:
        """Encrypt the key files under a passphrase; signing asks for it from then on."""
        _check_passphrase(passphrase)
        paths = [found.path for found in self.files() if not found.is_protected and not found.problem]
        for path in paths:
            write_private(path, self._load(_read(path), path.stem).pem(passphrase=passphrase.encode()))
        return paths

    def _paths(self, role: str) -> list[Path]:
        return [*self.folder.glob(f"{role}.pem"), *sorted(self.folder.glob(f"{role}-*.pem"))]

    def _load(self, pem: bytes, role: str) -> SigningKey:
        if not _is_protected(pem):
            return SigningKey.parse(pem)
        given = self._environment.get("REGALIA_KEY_PASSPHRASE")
        if given is None and self._ask is not None:
            given = self._ask(role)
        return SigningKey.parse(pem, passphrase=None if given is None else given.encode())


def _given(value: str) -> bytes:
    return value.encode() if value.lstrip().startswith("-----BEGIN") else _read(Path(value).expanduser())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY)
    except OSError as error:
        raise ConfigurationError(f'the key "{path}" can\'t be read: {(error.strerror or "").lower()}') from error


def _described(path: Path) -> KeyFile:
    role = path.stem.partition("-")[0]
    mode = path.stat().st_mode & 0o777
    problem = f"mode {mode:04o}, expected 0600" if mode & 0o077 and os.name == "posix" else ""
    pem = _read(path)
    if _is_protected(pem):
        return KeyFile(role, path, "", is_protected=True, problem=problem)
    try:
        return KeyFile(role, path, SigningKey.parse(pem).keyid, is_protected=False, problem=problem)
    except ConfigurationError as error:
        return KeyFile(role, path, "", is_protected=False, problem=error.message)


def _is_protected(pem: bytes) -> bool:
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem


def _unpacked(file: Path) -> dict[str, bytes]:
    """Read a backup: plain `*.pem` files, bounded."""
    try:
        with file.open("rb") as opened:
            body = opened.read(_MAX_BACKUP + 1)
        if len(body) > _MAX_BACKUP:
            raise ConfigurationError(f'"{file}" is too large for a backup of keys')
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            members = [member for member in archive.getmembers() if member.isfile() and _is_key_name(member.name)]
            streams = {member.name: archive.extractfile(member) for member in members}
            return {name: stream.read(_MAX_KEY) for name, stream in streams.items() if stream is not None}
    except (OSError, tarfile.TarError) as error:
        raise ConfigurationError(f'"{file}" is no backup of keys: {error}', hint="reg key backup makes one") from error


def _is_key_name(name: str) -> bool:
    return name.endswith(".pem") and "/" not in name and "\\" not in name and not name.startswith(".")


def _check_passphrase(passphrase: str) -> None:
    if len(passphrase) < _MIN_PASSPHRASE:
        raise ConfigurationError(
            f"the passphrase has {len(passphrase)} characters, at least {_MIN_PASSPHRASE} are needed",
            hint="take four words",
        )

"""A text for every version that sorts as SemVer does, so that a database can page through versions."""


def sort_key(version: str) -> str:
    """Give the text; compared as bytes, a release sorts after its pre-releases.

    >>> sort_key("1.2.3-rc.1") < sort_key("1.2.3") < sort_key("1.10.0")
    True
    """
    core, dash, prerelease = version.partition("-")
    numbers = ".".join(map(_number, core.split(".")))
    if not dash:
        return numbers + "~"
    # SemVer 2.0.0 §11: numbers sort before words, and fewer identifiers before more; "!" sorts before all of them.
    return numbers + "-" + "!".join(map(_identifier, prerelease.split(".")))


def _number(digits: str) -> str:
    """Say first how many digits there are; numbers go up to 2^53-1, so 16 is the most."""
    return chr(ord("a") + len(digits)) + digits


def _identifier(text: str) -> str:
    return "0" + _number(text) if text.isdigit() else "1" + text

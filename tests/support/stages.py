"""A registry with `local` and releases whose prompt tells their version, as the tests of moves begin with it."""

from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.support.registries import Home

PROD = "acme/support-agent:prod"

_PROMPT = 'version: "{version}"\nprompt_id: greeting\ntemplate: "This is {version}."\n'


def release(made: Home, version: str) -> None:
    """Make a bundle of the project, and of the collections that it names as they are."""
    (made.project / "prompts").mkdir(exist_ok=True)
    (made.project / "prompts/greeting.yaml").write_text(_PROMPT.format(version=version))
    made.must("bundle", "create", version)


def local_of(made: Home) -> EmbeddedPostgres:
    """Give the registry's own PostgreSQL."""
    return EmbeddedPostgres(made.folder / ".local/share/regalia/postgres", wheel_binaries())

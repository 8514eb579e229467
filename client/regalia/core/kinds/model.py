"""Models: a provider's model at a revision that does not float, for one use."""

from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds.spec import KIB, Change, Content, KindSpec, without_none
from regalia.core.names import Kind, check_segment, check_version
from regalia.core.strict_json import JsonObject
from regalia.core.values import field, frozen


@frozen
class ModelConfig:
    """Which model answers one use case; `parameters` are the provider's own."""

    name: str
    version: str
    model: str
    revision: str | None = None
    provider: str | None = None
    use_case: str | None = None
    parameters: JsonObject | None = field(default=None, hash=False)
    retires_on: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_segment(self.name, what="model")
        check_version(self.version)

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        return Kind.MODEL

    @classmethod
    def parse(cls, fields: Fields) -> "ModelConfig":
        """Read the config."""
        return cls(
            name=fields.text("name"),
            version=fields.text("version"),
            model=fields.text("model", max_characters=256),
            revision=fields.optional("revision", fields.text),
            provider=fields.optional("provider", fields.text),
            use_case=fields.optional("use_case", fields.text),
            parameters=fields.child("parameters").raw if fields.has("parameters") else None,
            retires_on=fields.optional("retires_on", fields.text),
        )

    def written(self) -> JsonObject:
        """Give the config's JSON."""
        return without_none(
            name=self.name,
            version=self.version,
            model=self.model,
            revision=self.revision,
            provider=self.provider,
            use_case=self.use_case,
            parameters=self.parameters,
            retires_on=self.retires_on,
        )


def compare(old: Content, new: Content) -> Change:
    """Say which model replaces which; revisions where only they differ."""
    before, after = _model(old), _model(new)
    if (before.provider, before.model) != (after.provider, after.model):
        return _replaced(_full(before, after), _full(after, before), after.name)
    if before.revision != after.revision:
        return _replaced(before.revision or "floating", after.revision or "floating", after.name)
    keys = sorted({*(before.parameters or {}), *(after.parameters or {})})
    changed = [key for key in keys if (before.parameters or {}).get(key) != (after.parameters or {}).get(key)]
    return Change(f"Model settings: {', '.join(changed) or 'its entry'} ({after.name})")


SPEC = KindSpec(Kind.MODEL, 64 * KIB, ModelConfig.parse, compare)


def _model(content: Content) -> ModelConfig:
    if not isinstance(content.config, ModelConfig):
        raise DocumentError(f"a {content.config.kind} stands where a model was expected")
    return content.config


def _replaced(before: str, after: str, name: str) -> Change:
    told = f"{before} → {after} ({name})"
    return Change(f"Model upgrade: {told}", restored=f"Model restored: {told}")


def _full(model: ModelConfig, other: ModelConfig) -> str:
    """Name the provider only where it is what differs."""
    return model.model if model.provider == other.provider else f"{model.provider or 'any provider'}/{model.model}"

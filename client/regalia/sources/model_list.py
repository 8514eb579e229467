"""Model lists: `models:` with a name, a version (the provider's revision) and a use case each."""

from regalia import strict_yaml
from regalia.core.errors import SourceError
from regalia.core.kinds.model import ModelConfig
from regalia.core.names import Kind, Slot
from regalia.core.strict_json import JsonObject, JsonValue, write
from regalia.sources.drafts import JSON, NO_VERSION, Draft, Finding, Format, Read, Source

_FLOATING = frozenset({"latest", "main", "master", "stable", "default"})
_TEXTS = ("name", "version", "use_case", "provider", "retires_on")


def _read(source: Source) -> Read:
    values, document = strict_yaml.parse_object(source.body, what=source.what)
    models = values.get("models")
    if not isinstance(models, list) or not models:
        raise SourceError(f"{source.what} lists no models", hint="models: [{name: …, version: …, use_case: …}]")
    drafts: list[Draft] = []
    findings: list[Finding] = []
    for place, model in enumerate(models):
        where = document.place("models", place)
        drafts.append(_draft(source, model, where))
        findings += _findings(source, drafts[-1], where)
    wanted = source.entry.name
    chosen = [draft for draft in drafts if not wanted or draft.slot.name == wanted]
    if not chosen:
        raise SourceError(f'{source.what} has no model with the use_case "{wanted}"')
    return Read(tuple(chosen), tuple(findings))


def _draft(source: Source, model: JsonValue, where: str) -> Draft:
    if not isinstance(model, dict):
        raise SourceError(f"{source.what}, {where}: a model is no mapping", hint="{name: …, version: …, use_case: …}")
    for key in _TEXTS:
        if not isinstance(model.get(key), str | None):
            raise SourceError(f'{source.what}, {where}: "{key}" is no text', hint="quote it")
    use_case, name = model.get("use_case"), model.get("name")
    if not isinstance(use_case, str) or not isinstance(name, str):
        raise SourceError(f"{source.what}, {where}: a model needs a name and a use_case")
    parameters = model.get("parameters")
    if not isinstance(parameters, dict | None):
        raise SourceError(f'{source.what}, {where}: "parameters" is no mapping')
    slot = Slot(Kind.MODEL, use_case)
    config = ModelConfig(
        name=use_case,
        version=NO_VERSION,
        model=name,
        revision=_text(model, "version"),
        provider=_text(model, "provider"),
        use_case=use_case,
        parameters=parameters,
        retires_on=_text(model, "retires_on"),
    )
    return Draft(slot, config, {f"{use_case}.json": (JSON, write(model))}, source.what, has_version=False)


def _findings(source: Source, draft: Draft, where: str) -> list[Finding]:
    config, found = draft.config, []
    assert isinstance(config, ModelConfig)  # noqa: S101 # made above
    if _floats(config) and not source.options.allow_floating:
        told = f'the revision "{config.revision}"' if config.revision else "no revision"
        found.append(
            source.finding(
                "floating-model",
                f'the model "{config.model}" for {config.name} has {told}, which may change under you',
                hint="pin a dated revision, or say --allow-floating",
                place=where,
            )
        )
    return found


def _floats(config: ModelConfig) -> bool:
    revision = config.revision
    if revision is None or revision == config.model:
        return True
    return revision.lower() in _FLOATING or revision.lower().endswith("-latest")


def _text(model: JsonObject, name: str) -> str | None:
    value = model.get(name)
    return value if isinstance(value, str) else None


FORMAT = Format(Kind.MODEL, frozenset({".yaml", ".yml", ".json"}), _read)

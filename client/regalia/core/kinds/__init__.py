"""The kinds of artifacts: one file each, and its line in this table."""

from regalia.core.kinds import code, config, model, prompt, snapshot
from regalia.core.kinds.spec import Change, Config, Content, KindSpec
from regalia.core.names import Kind

KINDS: dict[Kind, KindSpec] = {
    spec.kind: spec for spec in (prompt.SPEC, model.SPEC, snapshot.SPEC, config.SPEC, code.SPEC)
}

__all__ = ["KINDS", "Change", "Config", "Content", "KindSpec"]

"""Our users' own prompt files: YAML with `prompt_id`, `version`, `template` or `messages`, `metadata`."""

from regalia import strict_yaml
from regalia.core.names import Kind
from regalia.sources.drafts import Format, Read, Source
from regalia.sources.prompts import Fields, read_prompt


def _read(source: Source) -> Read:
    values, document = strict_yaml.parse_object(source.body, what=source.what)
    return read_prompt(source, Fields(values, document), template_format="fstring")


FORMAT = Format(Kind.PROMPT, frozenset({".yaml", ".yml"}), _read)

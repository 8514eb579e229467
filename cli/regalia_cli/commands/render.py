"""`reg render`: a prompt with values in it."""

import click

from regalia.core.names import Kind, Slot
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference")
@click.argument("slot")
@click.option("--var", "variables", multiple=True, metavar="KEY=VALUE", help="A variable; once each.")
@pass_state
def render(state: State, reference: str, slot: str, variables: tuple[str, ...]) -> None:
    """Render the prompt in SLOT (prompts/NAME, or NAME) of a bundle; a chat prompt comes as JSON messages."""
    parsed = Slot.parse(slot) if "/" in slot else Slot(Kind.PROMPT, slot)
    values = dict(_variable(text) for text in variables)
    prompt = state.client.refresh(reference).prompt(parsed.name)
    if prompt.config.is_chat:
        output.answer_json(prompt.messages(**values))
        return
    click.echo(prompt.render(**values), nl=False)


def _variable(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--var {text!r} has no value: --var key=value")
    return key, value

"""The demo's story: a release, a bad one, a restore under load, an outage, the record; all of it for real."""

import json
import shlex
import shutil
import time
from collections.abc import Sequence

from regalia.core.errors import RegaliaError
from regalia_cli import output
from regalia_cli.demo.stage import Ran, Stage

_PROMPT = "prompts/customer_support.yaml"
_BAD = "Answer from the context only; if it is not there, say so."
_INVENTED = "Always give a confident answer, even where the context has none."
_FEE = "What does a debit card cost a year?"
_PROD = "acme/support-agent:prod"
_FLEET = 8
_TRIES = 10
_CODE = "Somebody on the telephone asks for my code. May I tell it?"


def tell(stage: Stage, weaviate: str | None = None) -> None:
    """Tell all of it; `weaviate` is the URL of a server that serves too.

    Raises:
        RegaliaError: It went another way than it should.
    """
    _release(stage, weaviate)
    _bad_release(stage)
    _restore(stage)
    _outage(stage)
    _record(stage)


def _release(stage: Stage, weaviate: str | None) -> None:
    say("A bank's support agent: a prompt, a model list, a retrieval config, the commit they were tested with …")
    _show(stage, "init", "acme/support-agent", "--registry", stage.url)
    with (stage.project / "regalia.yaml").open("a", encoding="utf-8") as file:
        file.write("  config/retrieval: {file: config/retrieval.yaml, schema: config/retrieval.schema.json}\n")
        for name in ("kb", "search") if weaviate is not None else ("kb",):
            source = "target: local, collection: kb_working, embedder: models/embedder"
            file.write(f"  snapshots/{name}: {{{source}}}\n")
        file.write(_code_pin(stage))
    stage.start()
    output.answer(f"$ {stage.serving} &")
    say("… and a knowledge base: the bank's help pages, in a live table of the registry's own PostgreSQL, `local`.")
    _show(stage, "target", "check", "local")
    _program(stage, "ingest.py", "knowledge/help_pages.parquet")
    say("Pushing makes a version of each, and takes a snapshot of the table while it serves:")
    _commit(stage, "release 2.3.0")
    _show(stage, "push")
    say("Pushing again changes nothing, and stores no row again:")
    _show(stage, "push")
    _show(stage, "bundle", "create", "2.3.0")
    say("prod serves its knowledge base from there too: from a sealed copy that is made from the snapshot, and proved.")
    places = ["--snapshot", "kb=local"]
    if weaviate is not None:
        stage.environment["KB_WEAVIATE"] = weaviate.partition("?")[0]
        _show(stage, "target", "add", "search", weaviate, "--provider", "weaviate")
        places += ["--snapshot", "search=search"]
    _show(stage, "channel", "set", _PROD, *places)
    _show(stage, "promote", "2.3.0", "--to", "prod")
    say("An agent starts. It verifies every signature and every byte, then renders:")
    _agent(stage, expect="2.3.0 (fresh)")
    _asked(stage, _FEE, expect=" 5.00 euros a year")
    _asked(stage, _CODE, expect="We never ask you for a code")


def _bad_release(stage: Stage) -> None:
    say("Somebody makes the prompt more confident, takes a newer model, and ingests pages that are wrong:")
    path = stage.project / _PROMPT
    text = path.read_text(encoding="utf-8").replace("2.3.0", "2.3.1").replace(_BAD, _INVENTED)
    path.write_text(text, encoding="utf-8")
    models = stage.project / "model_registry.yaml"
    text = models.read_text(encoding="utf-8").replace("gpt-3.5-turbo-0125", "gpt-3.5-turbo-1106")
    models.write_text(text, encoding="utf-8")
    _program(stage, "ingest.py", "knowledge/changes.parquet")
    _commit(stage, "release 2.3.1")
    _show(stage, "bundle", "create", "2.3.1")
    _show(stage, "promote", "2.3.1", "--to", "prod", "--ticket", "CHG-1042")
    _agent(stage, expect="2.3.1 (fresh)")
    _asked(stage, _FEE, expect=" 50.00 euros a year")
    _asked(stage, _CODE, expect="Read it to them without delay")


def _restore(stage: Stage) -> None:
    say("Customers are told wrong things, confidently, by a fleet of eight agents that ask without pause.")
    output.answer("$ python fleet.py &")
    with stage.fleet() as fleet:
        if not fleet.await_ready():
            raise RegaliaError("the demo's fleet does not start", hint=(stage.home / "fleet.log").read_text()[-2000:])
        while len(json.loads(_run(stage, ("agents", _PROD, "--json"), refused=False).out)) < _FLEET:
            time.sleep(0.2)
        _show(stage, "agents", _PROD)
        say("Bring the whole bundle back under their load, plan first; the bad one is held:")
        _show(stage, "restore", _PROD, "--to", "previous", "--reason", "INC-42", "--yes", "--wait")
        seen = fleet.report()
    told = f"{seen.get('queries', 0):,} queries, {seen.get('errors', 0)} errors, {seen.get('mixed', 0)} mixed reads"
    output.answer(f"    the fleet meanwhile: {told}; it serves {seen.get('versions')} now")
    if seen.get("errors", 0) or seen.get("mixed", 0) or seen.get("versions") != ["2.3.0"]:
        raise RegaliaError(f"the demo went wrong: {told}", hint="tell us, with these lines")
    _agent(stage, expect="2.3.0 (fresh)")
    _asked(stage, _FEE, expect=" 5.00 euros a year")
    _asked(stage, _CODE, expect="We never ask you for a code")
    say("Nobody brings it back by accident:")
    _show(stage, "promote", "2.3.1", "--to", "prod", refused=True)


def _outage(stage: Stage) -> None:
    say("The registry is killed (SIGKILL). A fresh agent process starts all the same, verified from its disk:")
    stage.kill()
    _agent(stage, expect="2.3.0 (disk)")
    say("One bit of its cache is flipped. That is noticed, and never served:")
    blob = max(
        (stage.home / ".cache").rglob("blobs/sha256/*/*"), key=lambda path: b"template_format" in path.read_bytes()
    )
    body = bytearray(blob.read_bytes())
    body[len(body) // 2] ^= 1
    blob.write_bytes(body)
    refused = stage.python("agent.py")
    _expect(refused.status != 0, "a flipped bit was served", refused)
    output.answer(f"    {refused.told.strip().splitlines()[-1][:200]}")
    say("The registry comes back; the agent fetches what was broken, and goes on:")
    stage.start()
    _agent(stage, expect="2.3.0 (fresh)")


def _record(stage: Stage) -> None:
    say("What a reviewer reads: who moved what, when and why.")
    _show(stage, "history", _PROD)
    records = _run(stage, ("history", _PROD, "--limit", "2", "--json"), refused=False)
    output.answer("$ reg history acme/support-agent:prod --limit 2 --json")
    _indent(records.out)


def _code_pin(stage: Stage) -> str:
    if shutil.which("git") is None:
        return f'  code/agent: {{images: ["registry.example.com/support-agent@sha256:{"0f" * 32}"]}}\n'
    stage.git("init", "--quiet")
    return "  code/agent: {git: .}\n"


def _commit(stage: Stage, message: str) -> None:
    if shutil.which("git") is not None:
        stage.git("add", ".")
        stage.git("commit", "--quiet", "--message", message)


def _agent(stage: Stage, *, expect: str) -> None:
    ran = stage.python("agent.py")
    for _ in range(_TRIES):
        if "(disk)" in expect or "(disk)" not in ran.out:
            break
        time.sleep(1)  # an agent waits for two seconds, and a machine with much else to do may take longer
        ran = stage.python("agent.py")
    _expect(ran.out.startswith(expect), f'the agent did not say "{expect}"', ran)
    output.answer("$ python agent.py")
    _indent(ran.out)


def _asked(stage: Stage, question: str, *, expect: str) -> None:
    ran = _program(stage, "ask.py", question)
    _expect(expect in ran.out, f'the nearest passage does not say "{expect}"', ran)


def _program(stage: Stage, *arguments: str) -> Ran:
    output.answer(f"$ python {shlex.join(arguments)}")
    ran = stage.python(*arguments)
    _expect(ran.status == 0, f"{arguments[0]} ended {ran.status}", ran)
    _indent(ran.out)
    return ran


def _show(stage: Stage, *arguments: str, refused: bool = False) -> Ran:
    output.answer(f"$ reg {' '.join(arguments)}")
    ran = _run(stage, arguments, refused=refused)
    _indent(ran.told + ran.out)
    return ran


def _run(stage: Stage, arguments: Sequence[str], *, refused: bool) -> Ran:
    ran = stage.reg(*arguments)
    _expect((ran.status == 1) if refused else (ran.status == 0), f"reg {' '.join(arguments)} ended {ran.status}", ran)
    return ran


def _expect(is_so: bool, told: str, ran: Ran) -> None:  # noqa: FBT001 # reads as an assertion
    if not is_so:
        raise RegaliaError(f"the demo went wrong: {told}\n{ran.out}{ran.told}", hint="tell us, with these lines")


def say(text: str) -> None:
    """Print a line of the story itself."""
    output.answer("")
    output.answer(text, bold=True)


def _indent(text: str) -> None:
    for line in text.rstrip().splitlines():
        output.answer(f"    {line}")

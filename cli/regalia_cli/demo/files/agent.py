"""A bank's support agent, as small as one can be: it resolves its release and renders a prompt."""

import sys

from regalia import Client

bundle = Client().resolve("acme/support-agent:prod")
prompt = bundle.prompt("customer_support").render(context="Branches close at 16:00.", user_query="When do you close?")
model = bundle.model("complex_queries")
sys.stdout.write(f"{bundle.version} ({bundle.provenance}), {model.model} at {model.revision}\n{prompt}")

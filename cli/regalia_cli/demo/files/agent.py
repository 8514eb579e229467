"""A bank's support agent, as small as one can be: it resolves its release and renders a prompt."""

import sys

from regalia import Client

bundle = Client().resolve("acme/support-agent:prod")
prompt = bundle.prompt("customer_support").render(context="Cards: 5.00 a year.", user_query="What does a card cost?")
model = bundle.model("complex_queries")
sys.stdout.write(f"{bundle.version} ({bundle.provenance}), {model.model} at {model.revision}\n{prompt}")

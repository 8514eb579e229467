"""The demo: a bank's support agent through a release, a bad release, a restore and an outage."""

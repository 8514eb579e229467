"""The worker: takes operations from the journal and does them, one call of a service each."""

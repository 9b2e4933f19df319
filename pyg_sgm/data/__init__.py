"""Scene graphs: schema, validation, vocabularies, batching, files."""

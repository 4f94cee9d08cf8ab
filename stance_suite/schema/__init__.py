"""Names and shapes of data: pydantic records, declared names and enums; no I/O."""

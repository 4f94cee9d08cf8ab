"""What users declare: YAML files and options, checked."""

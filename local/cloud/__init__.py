"""The template's cloud on one machine: `with Cloud(Path("template.yaml"), …) as cloud`."""

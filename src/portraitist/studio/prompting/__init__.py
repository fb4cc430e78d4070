"""How a member's words become a prompt. Pure; looks and linting of written prompts join it when they come."""

"""The HTTP API, one router for each noun. Handlers read and write rows; nothing here trains or draws."""

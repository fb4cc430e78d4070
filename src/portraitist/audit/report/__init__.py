"""Text last: the nine sections as markdown, and the same facts as JSON and SARIF. No analysis here."""

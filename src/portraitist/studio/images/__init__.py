"""Pictures: files of ours from the first second, and the one table that knows them."""

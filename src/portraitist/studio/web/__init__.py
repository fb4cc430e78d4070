"""What people see in a browser: pages, the stream of news, signed transfers. The only place with HTML."""

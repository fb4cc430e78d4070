"""What the browser and live clients get: the status page, the API's pages, the stream of news."""

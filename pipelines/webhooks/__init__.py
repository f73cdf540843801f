"""A tiny receiver of webhooks that lets a tick begin earlier. Polling stays the truth."""

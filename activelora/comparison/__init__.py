"""Campaigns side by side: what differs between strategies and adapters, and what is only luck."""

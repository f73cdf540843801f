"""What files hold, whatever format and tool they are from."""

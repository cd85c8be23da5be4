"""Arrays on their way in: checks, one entry a member, missing rows."""

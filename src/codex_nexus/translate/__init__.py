"""The pure core: Responses in, Chat out, and back."""

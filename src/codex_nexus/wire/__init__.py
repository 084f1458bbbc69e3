"""The words of both protocols and how they are spelt."""

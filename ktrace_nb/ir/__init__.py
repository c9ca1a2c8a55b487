"""What every language lowers to, and what is checked before it is compiled."""

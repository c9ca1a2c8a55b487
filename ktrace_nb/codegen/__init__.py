"""From a program to what the compiler gets: C text, headers, flags."""

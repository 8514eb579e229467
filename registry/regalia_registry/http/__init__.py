"""Routes, thin: parse, call one service, render."""

"""An in-memory registry for the tests of those who use Regalia."""

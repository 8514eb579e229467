"""What the services need from the world; every port has a memory twin and one contract suite."""

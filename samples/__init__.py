"""A sample application for the mesh, and the program that deploys it and shows who called whom."""

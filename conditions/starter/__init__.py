"""The texts that a new clinic begins with, and how a release's corrections reach an old one."""

"""The files of deploy/: each judged by its tool, and what they start started on loopback."""

"""What runs on a desktop: one file, sent over SSH, that imports nothing of ours."""

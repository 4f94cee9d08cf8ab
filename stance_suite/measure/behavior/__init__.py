"""What a model says and how likely it finds what it could have said."""

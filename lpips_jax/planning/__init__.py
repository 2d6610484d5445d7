"""What a step needs, known without running it: the compiled program, read for its memory, arithmetic and traffic."""

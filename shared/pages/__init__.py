"""The kit of all pages: templates, styles, texts, and answers to browsers."""

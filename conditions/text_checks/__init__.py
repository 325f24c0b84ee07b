"""What a text must pass before it may be signed: pure functions, documents in, findings out.

gaps.py says what is missing, overclaims.py what promises too much, plain_words.py hints toward
plainer sentences. Gaps and overclaims block; hints never do. Overclaims and plain words are known
for the languages in overclaims.TABLES; a hint tells the editor of a page in another one.
"""

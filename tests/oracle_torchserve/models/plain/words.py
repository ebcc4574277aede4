def shouted(text):
    return text.upper()

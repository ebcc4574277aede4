def in_a_sibling():
    return [1, 2, 3][5]

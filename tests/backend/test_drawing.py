from backend.demo.drawing import crop, draw

CORNER = [[255, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def plain(lines):
    return [line.plain for line in lines]


def test_half_blocks_hold_two_rows_each():
    assert plain(draw([[255, 255, 0], [255, 0, 0], [0, 255, 0]], colours=False)) == ["█▀ ", " ▀ "]


def test_ascii_shades_follow_the_mean_of_both_rows():
    assert plain(draw([[255, 0, 128], [255, 0, 0]], colours=False, blocks=False)) == ["@ :"]


def test_colours_keep_every_grey():
    (line,) = draw([[10], [20]], colours=True)
    assert line.plain == "▀"
    assert str(line.spans[0].style) == "rgb(10,10,10) on rgb(20,20,20)"


def test_crop_keeps_the_ink_in_the_middle():
    assert crop(CORNER, 2) == [[255, 0], [255, 0]]
    assert crop([[0] * 4] * 4, 2) == [[0, 0], [0, 0]]


def test_crop_leaves_smaller_images_alone():
    assert crop(CORNER, 9) == CORNER

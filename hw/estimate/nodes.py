from hw.targets.area import Area


def node_area(node, target):
    return Area()

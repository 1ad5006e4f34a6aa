"""Every layer type stands in one group, which its module or its bases say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import nets.layers
from nets.layers import LAYERS, Layer
from nets.layers.activation import Relu
from nets.layers.bottleneck import Bottleneck
from nets.layers.groups import GROUPS, OF, OTHER, group_of


def test_every_type_stands_in_a_group_and_every_name_of_the_table_stands_for_something() -> None:
    assert not [name for name, cls in LAYERS.items() if group_of(cls) not in GROUPS], "name its module in GROUPS"
    modules = {path.stem for path in Path(nets.layers.__file__).parent.glob("*.py")}
    assert OF.keys() <= modules | LAYERS.keys()
    assert len(OF) == sum(len(members.split()) for members in GROUPS.values()), "a name stands in two groups"


def test_a_type_of_a_new_module_stands_where_its_bases_do() -> None:
    class Bend(Relu):
        type: Literal["bend"] = "bend"  # type: ignore[assignment]

    class Block(Bottleneck):
        type: Literal["block"] = "block"  # type: ignore[assignment]

    class Own(Layer):
        type: Literal["own"] = "own"

    assert (group_of(Bend), group_of(Block), group_of(Own)) == ("activation", "composite", OTHER)

"""Networks of public examples, papers and repositories as bodies of `POST /api/train`, one JSON file each."""

from nets.examples.networks import PublicNetwork, names, network, networks
from nets.examples.writing import written

__all__ = ["PublicNetwork", "names", "network", "networks", "written"]

"""`python -m bridge.simulator SITE --control-port N --endpoints-file PATH [--paced] [--seed N] [--state-file PATH]`."""

import argparse
import sys
from pathlib import Path

from bridge.core.errors import BridgeError
from bridge.simulator.process import ProcessSettings, run_simulation
from bridge.simulator.simulation import SimulationSettings

_FAILED, _USAGE = 1, 2


def main() -> int:
    """Simulate the site until SIGTERM, SIGINT or the end of standard input. Return the exit status."""
    arguments = _parser().parse_args()
    try:
        simulation = SimulationSettings(seed=arguments.seed, state_file=arguments.state_file)
        settings = ProcessSettings(arguments.control_port, arguments.endpoints_file, arguments.paced, simulation)
        run_simulation(arguments.site, settings)
    except BridgeError as exc:
        sys.stderr.write(f"{exc}\n")
        return _USAGE
    except OSError as exc:
        sys.stderr.write(f"cannot simulate: {exc}\n")
        return _FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bridge.simulator", description="Simulated meters of a site, on this machine only")
    parser.add_argument("site", type=Path, metavar="SITE", help="site.yaml or its folder")
    parser.add_argument("--control-port", type=int, default=0, help="port of 127.0.0.1, 0 = any")
    parser.add_argument("--endpoints-file", type=Path, help="written as JSON once everything answers")
    parser.add_argument("--paced", action="store_true", help="serial lines keep their line's speed")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same meters")
    parser.add_argument("--state-file", type=Path, help="where the meters keep what they have counted")
    return parser


if __name__ == "__main__":
    sys.exit(main())

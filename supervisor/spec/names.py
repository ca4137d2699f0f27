"""Names of containers: docker's grammar, and names made up for those that were given none. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pysup.supervisor.errors import BadRequest

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
LONGEST = 255
"""A name is also a file name in places (NAME_MAX of most file systems)."""


def check_name(name: str, *, verb: str = "create") -> str:
    """The name without docker's leading slash. Raises BadRequest."""
    bare = name.removeprefix("/")
    if not _NAME.fullmatch(bare) or len(bare) > LONGEST:
        raise BadRequest(
            f"cannot {verb} container: invalid name {name[:LONGEST]!r}: "
            "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, at least two characters"
        )
    return bare


def is_name(name: str) -> bool:
    """Whether a container, or a volume, can be called so."""
    return len(name) <= LONGEST and _NAME.fullmatch(name) is not None


def random_name(choose: Callable[[Sequence[str]], str]) -> str:
    """``calm_lovelace``: an adjective and a surname; ``choose`` picks one of several (random.choice)."""
    return f"{choose(ADJECTIVES)}_{choose(SURNAMES)}"


ADJECTIVES = tuple(
    """
    able agile airy amber ample apt arctic avid awake balmy blithe bold brave breezy bright brisk calm
    candid careful cheerful chief civil clear clever cosmic cosy crisp curious daring dapper deft
    devoted eager early earnest easy elastic elegant endless fair famous fearless fervent festive fine
    firm fleet fluent fond frank free fresh frosty gallant gentle glad golden graceful grand happy hardy
    hearty helpful honest humble ideal jolly jovial just keen kind large lasting light lively loyal
    lucid lucky lunar mellow merry mighty mild modest neat nimble noble novel open patient placid plain
    polite prime prompt proud quick quiet rapid ready regal robust rosy serene sharp shiny silent simple
    sincere sleek smart smooth solar solid spry stable steady stoic strong sturdy subtle sunny sure
    swift tender thrifty tidy tranquil true trusty upbeat valiant vast vivid warm wise witty worthy
    zesty
    """.split()  # noqa: SIM905 - a paragraph is easier to read and to extend than two hundred quoted words
)

SURNAMES = tuple(
    """
    abel adleman allen ampere archimedes arrhenius avogadro babbage backus banach bardeen bassi
    becquerel bernoulli bessel birkhoff bohr boole born bose boyle brahe cantor carson cauchy cavendish
    cayley celsius cerf chandrasekhar church codd conway copernicus coulomb curie dalton darwin davy
    dedekind descartes dijkstra diophantus dirac doppler eckert edison einstein engelbart erdos euclid
    euler faraday fermat fermi feynman fibonacci floyd fourier franklin galileo galois gauss germain
    gibbs goedel goldberg hamilton hardy hawking heisenberg herschel hertz hilbert hopper hubble huygens
    hypatia jacobi johnson joule kalman kelvin kepler kernighan khorana kleene knuth kolmogorov
    kovalevskaya lagrange lamarr lamport laplace leavitt leibniz liskov lovelace mach markov maxwell
    mayer mccarthy meitner mendel mirzakhani moser napier nash neumann newton nightingale noether ohm
    pascal pasteur pauli payne perlman planck poincare ptolemy pythagoras ramanujan riemann ritchie
    roentgen rubin rutherford sammet schroedinger shannon stevin stokes tarski tesla thompson torvalds
    turing volta wiles wilson wirth wozniak wu yalow yonath zermelo zuse
    """.split()  # noqa: SIM905
)

"""
Packaging of aiproxy.

The twistd plug-in is shipped as a module of Twisted's own package `twisted.plugins`, which is
how twistd finds it; no `__init__.py` of Twisted's is among our files, so nothing is overwritten.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

# The oldest versions that work: those of Debian 13. `make test-floors` runs the tests on them.
FLOORS = {
    "twisted[tls]": "24.11.0",
    "treq": "24.9.1",
    "klein": "24.8.0",
    "pyyaml": "6.0.2",
    "service-identity": "24.2.0",
    "pyopenssl": "25.0.0",
    "msgspec": "0.19.0",
    "httptools": "0.6.4",
    "hyperlink": "21.0.0",
    "zstandard": "0.23.0",
    "brotli": "1.1.0",
}

# Linter and type checker grow stricter with each version: a new one comes in by a change here.
TEST = [
    "anthropic",
    "botocore",
    "google-genai",
    "hypothesis",
    "mypy>=2.4,<2.5",
    "mypy-zope>=1.0.17",
    "openai",
    "ruff>=0.17,<0.18",
    "types-PyYAML",
]


def version() -> str:
    """`aiproxy.__version__`, read without importing: dependencies may not be there yet."""
    text = (HERE / "aiproxy" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("aiproxy/__init__.py has no __version__")
    return found[1]


def readme() -> str:
    """The README, empty in a tree that has none."""
    path = HERE / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


setup(
    name="aiproxy",
    version=version(),
    description="One address for AI clients, many AI upstreams behind it",
    long_description=readme(),
    long_description_content_type="text/markdown",
    author="aiproxy contributors",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["aiproxy", "aiproxy.*"]), "twisted.plugins"],
    package_data={"aiproxy": ["py.typed"]},
    install_requires=[f"{name}>={floor}" for name, floor in FLOORS.items()],
    extras_require={"test": TEST, "fuzz": [*TEST, "atheris>=3.0"]},
    zip_safe=False,
    classifiers=[
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)

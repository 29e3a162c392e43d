"""The Tab key: the real program asked as each shell asks it, in a shop that has run a batch."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.integration.cli.shop import COMMAND, Shop

BASH = """\
export PATH={folder}:$PATH
imagechord --install-completion > /dev/null && source ~/.bashrc
COMP_WORDS=({words}) COMP_CWORD={last}
_imagechord_completion imagechord
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def in_bash(shop: Shop, *words: str) -> list[str]:
    """What bash offers for the last word, after --install-completion into a home of its own."""
    line = " ".join(shlex.quote(word) for word in ("imagechord", *words))
    script = BASH.format(folder=COMMAND.parent, words=line, last=len(words))
    ran = subprocess.run(
        ["bash", "-c", script], cwd=shop.folder, env=shop.environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    return ran.stdout.split()


def asked(shop: Shop, shell: str, line: str) -> subprocess.CompletedProcess[str]:
    """What the program answers to the script that it gives to a shell."""
    protocol = {
        "_IMAGECHORD_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    environment = shop.environment | protocol
    return subprocess.run([str(COMMAND)], cwd=shop.folder, env=environment, capture_output=True, text=True, check=False)


def test_bash_offers_the_batches_of_the_ledger(rehearsed: Shop) -> None:
    """Installed as a person does; ids, and the name where one has begun to type it."""
    batch = rehearsed.json("status")["batch"]
    assert batch in in_bash(rehearsed, "status", "")
    assert in_bash(rehearsed, "watch", "autu") == ["autumn"]


def test_zsh_and_fish_offer_what_the_catalogue_has(rehearsed: Shop) -> None:
    """With a few words about each, on one line."""
    zsh = asked(rehearsed, "zsh", "imagechord run --model seedream-5-l").stdout
    assert zsh.startswith('_arguments \'*: :(("seedream-5-lite":')
    fish = asked(rehearsed, "fish", "imagechord plan --template blog").stdout.splitlines()
    assert [line.split("\t")[0] for line in fish] == ["blog_hero", "blog_hero_en"]
    assert all(0 < len(line.split("\t")[1]) <= 60 for line in fish)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("imagechord wa", ["watch"]),
        ("imagechord show A-", ["A-1", "A-2", "A-4"]),
        ("imagechord limits c", ["cms"]),
        ("imagechord retry --only un", ["unknown"]),
    ],
)
def test_what_else_is_known_is_offered(rehearsed: Shop, line: str, offered: list[str]) -> None:
    """Commands, keys of the latest batch, limits, reasons."""
    told = asked(rehearsed, "fish", line).stdout.splitlines()
    assert [each.split("\t")[0] for each in told] == offered


@pytest.mark.parametrize("line", ["imagechord status ", "imagechord run --model "])
def test_where_nothing_can_be_known_nothing_is_said(shop: Shop, line: str) -> None:
    """No ledger is made, and a broken configuration is no matter of the prompt."""
    shop.write("config/models.toml", "[models.preview]\nprize_usd = 1\n")
    ran = asked(shop, "fish", line)
    assert (ran.stdout.strip(), ran.stderr) == ("", "")
    assert shop.files() == {"config", "config/models.toml"}

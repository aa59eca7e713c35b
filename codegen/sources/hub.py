"""Models of the Hugging Face hub: the files that are needed, fetched into huggingface_hub's cache.

It goes on where a transfer broke off, keeps files that are whole if it is stopped, and shows bars.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from intaglio.runtime.bundle.checkpoint import INDEX_FILE, SINGLE_FILE, pickles_of
from intaglio.runtime.errors import UserError

HUB_ID = re.compile(
    r"(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-][\w./-]*))?", re.ASCII
)
_FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja")
_MORE_TEMPLATES = r"additional_chat_templates/\w+\.jinja"
_TOKENIZER = "tokenizer.json"
# of which the tokenizer is made where that is missing
_TOKENIZER_SOURCES = ("tokenizer.model", "added_tokens.json")
_LARGEST_INDEX = 64 << 20
# files at a time: what is under way when it is stopped is fetched again
_AT_A_TIME = 2


def pull_from_hub(name: str, revision: str | None, progress: Callable[[str], None]) -> Path:
    """The folder of a model, `org/name`, fetched as far as it is not there.

    `revision` is a branch, a tag or a commit; None is the main branch. Where the hub can't be
    reached, what its cache has. Raises `UserError`.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return _fetch(name, revision, progress)
    except UserError:
        raise
    except GatedRepoError:
        why = "it is gated: accept its terms on huggingface.co, then run `hf auth login`"
    except RevisionNotFoundError:
        why = f"it has no revision {revision or 'main'!r}: give a branch, a tag or a commit"
    except RepositoryNotFoundError:
        why = "there is no such folder here and no such public model there"
    except HFValidationError:
        why = "that is not a well-formed hub id"
    except LocalEntryNotFoundError:
        why = "the hub can't be reached and the model isn't in its local cache; check the network"
    except Exception as error:  # whatever the HTTP stack raises
        why = " ".join(str(error).split())[:200] or type(error).__name__
    raise UserError(f"{name}: cannot be fetched from the Hugging Face hub: {why}")


def _fetch(name: str, revision: str | None, progress: Callable[[str], None]) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except Exception as error:  # no answer or none of use: offline, no network, overloaded, …
        return _held(name, revision, error)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = _needed(name, revision, sizes)
    total = sum(sizes[file] for file in wanted)
    at = f" at {revision}" if revision else ""
    progress(
        f"fetching {name}{at} from the Hugging Face hub: "
        f"{len(wanted)} files, {total / 1e6:,.0f} MB, as far as they are not here"
    )
    patterns = [glob.escape(file) for file in wanted]
    return Path(
        snapshot_download(name, revision=revision, allow_patterns=patterns, max_workers=_AT_A_TIME)
    )


def _held(name: str, revision: str | None, error: Exception) -> Path:
    """The folder of a model that was fetched before. Raises `error` if the hub gave an answer."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns=["config.json"]
        )
    except LocalEntryNotFoundError:
        if isinstance(error, HfHubHTTPError):
            raise error from None
        raise
    folder = Path(found)
    index = folder / INDEX_FILE
    weights = _shards(index) if index.is_file() else {SINGLE_FILE}
    missing = sorted(file for file in ("config.json", *weights) if not (folder / file).is_file())
    if missing:
        raise UserError(
            f"{name}: the hub can't be reached, and its local cache lacks {missing[0][:100]}: "
            "check the network"
        )
    return folder


def _needed(name: str, revision: str | None, held: Collection[str]) -> list[str]:
    """Of the files of a model those that are read here. Raises `UserError` if it lacks them."""
    if "config.json" not in held:
        raise UserError(f"{name}: has no config.json; supported: models of transformers' format")
    tokenizer = (_TOKENIZER,) if _TOKENIZER in held else _TOKENIZER_SOURCES
    return [
        *(file for file in (*_FILES, *tokenizer) if file in held),
        *(file for file in sorted(held) if re.fullmatch(_MORE_TEMPLATES, file)),
        *_weights(name, revision, held),
    ]


def _weights(name: str, revision: str | None, held: Collection[str]) -> list[str]:
    """Beside these there may be the same in other forms, of other tools."""
    if INDEX_FILE in held:
        from huggingface_hub import hf_hub_download

        shards = _shards(Path(hf_hub_download(name, INDEX_FILE, revision=revision)))
        missing = sorted(shards - set(held))
        if missing:
            raise UserError(f"{name}: {INDEX_FILE} names {missing[0][:100]!r}, which is not there")
        return [INDEX_FILE, *sorted(shards)]
    if SINGLE_FILE in held:
        return [SINGLE_FILE]
    pickles = pickles_of(held)
    if pickles:
        raise UserError(f"{name}: {pickles}")
    others = sorted(file for file in held if file.endswith(".gguf"))
    if others:
        raise UserError(
            f"{name}: has no {SINGLE_FILE} but {len(others)} .gguf files: fetch one, as by "
            f"`hf download {name} {others[0][:100]}`, and give its path"
        )
    raise UserError(f"{name}: has neither {SINGLE_FILE} nor {INDEX_FILE}; supported: with one")


def _shards(index: Path) -> set[str]:
    try:
        if index.stat().st_size > _LARGEST_INDEX:
            raise ValueError
        files: Any = set(json.loads(index.read_bytes())["weight_map"].values())
        if not all(isinstance(file, str) for file in files):
            raise ValueError
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise UserError(f"{index}: not an index: needs a weight_map of tensor to file") from None
    return set(files)

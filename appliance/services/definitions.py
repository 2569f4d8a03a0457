"""Pipeline documents on their way in and out of the control plane: judged whole, secrets sealed, masked, put back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from appliance.components.lint import lint, map_secrets, suggest
from appliance.domain.mapping import Mapping as MappingDocument
from appliance.domain.pipeline import PipelineDocument
from appliance.domain.quantity import parse_duration, parse_size
from appliance.domain.retention import FOREVER
from appliance.domain.rollup import Rollup
from appliance.errors import Invalid, Problem
from appliance.observe.masking import conceal
from appliance.services.chunk_rules import chunk_problems
from appliance.services.header_rules import header_problems, without_credentials
from appliance.services.ports import Catalog
from appliance.services.rollup_rules import rollup_problems
from appliance.services.views import SECRET_MASK
from appliance.storage.control.vault import Vault

CheckMapping = Callable[[MappingDocument, str], list[Problem]]

_RETENTION: Final[Mapping[str, Callable[[str], Any]]] = {
    "bronze": parse_duration,
    "silver": parse_duration,
    "bronze_size": parse_size,
}


class Definitions:
    """Knows which components there are, and therefore where their secrets stand."""

    def __init__(self, catalog: Catalog, vault: Vault, check_mapping: CheckMapping, base_url: str = "") -> None:
        self._catalog, self._vault = catalog, vault
        self.base_url = base_url.rstrip("/")  # where senders reach this appliance; empty: wherever they asked
        self._check_mapping = check_mapping

    def sources(self) -> dict[str, type[msgspec.Struct]]:
        """Return the declaration of every source there is, by its type."""
        found = {name: self._catalog.source_config_type(name) for name in self._catalog.SOURCES}
        return {name: config for name, config in found.items() if config is not None}

    def lint(self, document: Any) -> list[Problem]:
        """Return everything that is wrong with ``document``, by JSON pointer; nothing: it could be saved."""
        problems = lint(PipelineDocument, document)
        if not isinstance(document, dict):
            return problems
        problems += self._lint_source(document.get("source"))
        problems += self._lint_sinks(document.get("sinks"))
        problems += lint_retention(document.get("retention"), "/retention")
        if not any(problem.pointer.startswith("/mapping") for problem in problems):
            mapping = msgspec.convert(document.get("mapping", {}), MappingDocument)
            problems += self._check_mapping(mapping, "/mapping")
            if not any(problem.pointer.startswith(("/rollups", "/persist")) for problem in problems):
                problems += _lint_rollups(document, mapping)
            problems += chunk_problems(document.get("chunks"), mapping, "/chunks")
        return problems

    def _lint_source(self, source: Any) -> list[Problem]:
        if not isinstance(source, dict):
            return []
        known = sorted(self._catalog.SOURCES)
        named = source.get("type")
        if named is None:
            return [Problem("/source/type", f"required one of {', '.join(map(repr, known))} is missing")]
        config = self._catalog.source_config_type(named) if isinstance(named, str) else None
        if config is None:
            return [Problem("/source/type", f"unknown source {named!r}", suggest(named, list(known)))]
        return [*lint(config, source, "/source"), *header_problems(source, "/source")]

    def _lint_sinks(self, sinks: Any) -> list[Problem]:
        """Refuse every sink: this version has none to offer."""
        if not isinstance(sinks, list):
            return []
        named = [sink.get("type") if isinstance(sink, dict) else sink for sink in sinks]
        told = "this version hands rows on by API and feed only: leave 'sinks' empty"
        return [Problem(f"/sinks/{place}", f"unknown sink {name!r}", told) for place, name in enumerate(named)]

    def decode(self, document: Any, stored: Mapping[str, Any] | None = None) -> PipelineDocument:
        """Return ``document``, secrets in clear. A masked secret takes its value from ``stored``, a sealed definition.

        Raises:
            Invalid: with every problem.
        """
        missing: list[Problem] = []
        if isinstance(document, dict) and isinstance(document.get("source"), dict):
            source, missing = self._unmask(document["source"], stored["source"] if stored else {})
            document = document | {"source": source}
        if problems := missing + self.lint(document):
            raise Invalid(problems)
        return msgspec.convert(document, PipelineDocument)

    def _unmask(self, source: dict[str, Any], stored: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        kept: dict[str, str] = {}
        if stored.get("type") == source.get("type"):
            self._map(stored, lambda pointer, sealed: kept.setdefault(pointer, sealed))
        missing: list[Problem] = []

        def clear(pointer: str, text: str) -> str:
            if text != SECRET_MASK:
                return text
            if pointer not in kept:
                missing.append(Problem(f"/source{pointer}", "the mask stands for a stored secret and there is none"))
                return text
            return self._clear(kept[pointer])

        return self._map(source, clear), missing

    def seal(self, document: PipelineDocument) -> dict[str, Any]:
        """Return the definition to store: JSON, every secret sealed."""
        plain: dict[str, Any] = msgspec.to_builtins(document)
        return plain | {"source": self._map(plain["source"], lambda _, text: self._sealed(text))}

    def unseal(self, definition: Mapping[str, Any]) -> PipelineDocument:
        """Return the document of a stored definition, secrets in clear.

        Raises:
            FatalError: a secret cannot be read.
        """
        source = self._map(definition["source"], lambda _, text: self._clear(text))
        return msgspec.convert({**definition, "source": source}, PipelineDocument)

    def mask(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stored definition as people may see it."""
        masked = self._map(definition["source"], lambda _, __: SECRET_MASK)
        return {**definition, "source": without_credentials(masked)}

    def seal_all(self, secrets: Sequence[str]) -> list[str]:
        return [self._sealed(secret) for secret in secrets]

    def unseal_all(self, sealed: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._clear(secret) for secret in sealed)

    def _sealed(self, secret: str) -> str:
        conceal(secret)
        return self._vault.seal(secret)

    def _clear(self, sealed: str) -> str:
        conceal(secret := self._vault.unseal(sealed))
        return secret

    def checks_signatures(self, document: PipelineDocument) -> bool:
        """Return whether its source is one that senders sign for."""
        signature = getattr(self._config(document.source), "signature", None)
        return getattr(signature, "value", "none") != "none"

    def wants_secret(self, document: PipelineDocument) -> bool:
        """Return whether its source checks signatures and was given nothing to check them with."""
        return self.checks_signatures(document) and not self.configured_secrets(document)

    def is_pushed(self, source: Mapping[str, Any]) -> bool:
        """Return whether events are posted to this source."""
        return source.get("type") == "webhook"

    def configured_secrets(self, document: PipelineDocument) -> list[str]:
        """Return the signing secrets that stand in the document itself."""
        return list(getattr(self._config(document.source), "secrets", []))

    def _config(self, source: dict[str, Any]) -> msgspec.Struct | None:
        type_ = self._catalog.source_config_type(str(source.get("type")))
        return msgspec.convert(source, type_) if type_ is not None else None

    def _map(self, source: dict[str, Any], fn: Callable[[str, str], str]) -> dict[str, Any]:
        named = source.get("type")
        type_ = self._catalog.source_config_type(named) if isinstance(named, str) else None
        return source if type_ is None else map_secrets(type_, source, fn)


def lint_retention(retention: Any, pointer: str) -> list[Problem]:
    """Return what is wrong with the durations and sizes; their being text at all is judged elsewhere."""
    if not isinstance(retention, dict):
        return []
    problems = []
    for name, parse in _RETENTION.items():
        text = retention.get(name)
        if isinstance(text, str) and text.strip().lower() != FOREVER:
            try:
                none = not parse(text)
            except ValueError as error:
                problems.append(Problem(f"{pointer}/{name}", str(error), f"or {FOREVER!r}"))
                continue
            if none:  # elsewhere it means without a bound; here everything would go
                told = f"expected more than nothing, got {text!r}"
                problems.append(Problem(f"{pointer}/{name}", told, f"to keep everything, say {FOREVER!r}"))
    return problems


def _lint_rollups(document: dict[str, Any], mapping: MappingDocument) -> Iterator[Problem]:
    rollups = msgspec.convert(document.get("rollups", []), list[Rollup])
    fields = {field.name: field.type for field in mapping.fields}
    return rollup_problems(rollups, fields, persist=document.get("persist", True))

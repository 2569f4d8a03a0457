"""The bill of materials as CycloneDX 1.6 in JSON, from inventory.py; equal contents give equal bytes."""

import json
import os
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import manifest
from component import Component as Part
from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

_LICENCES = LicenseFactory()


def write(parts: Iterable[Part], target: Path) -> None:
    """Write the bill of ``parts``; what its own schema would refuse is not written."""
    text = document(parts, json.loads((manifest.ROOT / "dist" / "dash-appliance" / manifest.FILE).read_text()))
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"the bill of materials is not CycloneDX 1.6: {error}")
    target.write_text(text)


def document(parts: Iterable[Part], release: dict[str, object]) -> str:
    """Return the bill of the release whose manifest is ``release``."""
    product = Component(
        type=ComponentType.APPLICATION,
        name="dash-appliance",
        version=str(release["version"]),
        bom_ref="dash-appliance",
        supplier=OrganizationalEntity(name="Dash"),
    )
    components = [_component(part, part.name) for part in parts]
    bom = Bom(
        components=components,
        # Named for what is in it, and dated like it: the same release has the same bill.
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(release, sort_keys=True)),
        dependencies=[
            Dependency(product.bom_ref, dependencies=[Dependency(one.bom_ref) for one in components]),
            *(Dependency(one.bom_ref) for one in components),
        ],
    )
    bom.metadata.component = product
    bom.metadata.timestamp = datetime.fromtimestamp(int(str(release["commit_time"])), UTC)
    return JsonV1Dot6(bom).output_as_string(indent=1) + os.linesep


def _component(part: Part, ref: str) -> Component:
    made = Component(
        type=ComponentType.LIBRARY,
        name=part.name,
        version=part.version,
        bom_ref=f"{part.kind}:{ref}@{part.version}",
        purl=_purl(part),
        licenses=[_LICENCES.make_from_string(part.licence)],
    )
    seen = {(inner.kind, inner.name, inner.version): inner for inner in part.inside}
    made.components.update(_component(inner, f"{ref}/{inner.name}") for inner in seen.values())
    return made


def _purl(part: Part) -> PackageURL:
    namespace = {"deb": "debian"}.get(part.kind)
    name = part.name
    if part.kind == "npm" and name.startswith("@"):
        namespace, name = name.split("/", 1)
    return PackageURL(part.kind, namespace, name.lower() if part.kind == "pypi" else name, part.version)

"""Holds the files of launch/clusters against what Ray and the clouds publish about them, without a cloud; runs in the engine's environment.

    .venv-cluster/bin/python tests/support/cluster_files.py FILE ...

prints one JSON object a line for each: `config` as Ray completes it, and `complaint`, what is wrong with it or null.
"""

from __future__ import annotations

import inspect
import json
import pathlib
import sys
from typing import Any

import botocore.session
import botocore.validate
import googleapiclient
import jsonschema
import yaml
from ray.autoscaler._private import providers, util
from ray.autoscaler._private.aws import config as aws
from ray.autoscaler._private.gcp import config as gcp
from ray.autoscaler._private.kuberay import autoscaling_config as kuberay


def complete(path: pathlib.Path) -> dict[str, Any]:
    """Returns a file's contents as Ray's autoscaler sees them, which refuses what its schema does not know."""
    first, *_ = documents = list(yaml.safe_load_all(path.read_text()))
    if len(documents) > 1:
        first["metadata"]["namespace"] = "default"
        config: dict[str, Any] = kuberay._derive_autoscaling_config_from_ray_cr(first)
    else:
        config = util.prepare_config(first)
    util.validate_config(config)
    # Imports what Ray needs to speak to the provider.
    providers._get_node_provider_cls(config["provider"])
    return config


def check_machines(config: dict[str, Any]) -> None:
    """Raises an error if a cloud does not know a setting of a machine.

    Raises:
        Exception: One of the many kinds that the libraries have.
    """
    check = {"aws": _check_amazon, "gcp": _check_google, "azure": _check_azure}.get(
        config["provider"]["type"]
    )
    for node_type in config["available_node_types"].values():
        if check:
            check(node_type["node_config"])


def _check_amazon(settings: dict[str, Any]) -> None:
    aws._configure_node_type_from_network_interface({"node_config": settings})
    shape = (
        botocore.session.get_session()
        .get_service_model("ec2")
        .operation_model("RunInstances")
        .input_shape
    )
    report = botocore.validate.ParamValidator().validate(
        {**settings, "MinCount": 1, "MaxCount": 1}, shape
    )
    if report.has_errors():
        raise ValueError(report.generate_report())


def _check_google(settings: dict[str, Any]) -> None:
    assert gcp.get_node_type(settings) == gcp.GCPNodeType.COMPUTE
    description = (
        pathlib.Path(googleapiclient.__file__).parent
        / "discovery_cache"
        / "documents"
        / "compute.v1.json"
    )
    schemas = {
        name: _as_json_schema(schema)
        for name, schema in json.loads(description.read_text())["schemas"].items()
    }
    jsonschema.Draft7Validator({"$ref": "#/definitions/Instance", "definitions": schemas}).validate(
        settings
    )


def _as_json_schema(schema: Any) -> Any:
    """Translates Google's dialect: names instead of paths, integers that may be given as text, and no unknown fields."""
    if isinstance(schema, list):
        return [_as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {key: _as_json_schema(part) for key, part in schema.items()}
    if isinstance(schema.get("$ref"), str):
        return {"$ref": f"#/definitions/{schema['$ref']}"}
    if schema.get("format") in ("int64", "uint64"):
        return {"type": ["string", "integer"]}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        translated["additionalProperties"] = False
    return translated


def _check_azure(settings: dict[str, Any]) -> None:
    folder = pathlib.Path(
        inspect.getfile(providers._get_node_provider_cls({"type": "azure"}))
    ).parent
    known = json.loads((folder / "azure-vm-template.json").read_text())["parameters"]
    types = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
    for name, value in settings["azure_arm_parameters"].items():
        if not isinstance(value, types[known[name]["type"]]):
            raise ValueError(f"{name} is {value!r}, not a {known[name]['type']}")


def main() -> None:
    for name in sys.argv[1:]:
        config, complaint = None, None
        try:
            config = complete(pathlib.Path(name))
            check_machines(config)
        except Exception as error:
            complaint = f"{type(error).__name__}: {error}"
        print(json.dumps({"config": config, "complaint": complaint}))


if __name__ == "__main__":
    main()

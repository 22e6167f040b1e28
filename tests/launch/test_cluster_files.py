"""The cluster files are valid by Ray's validation and the clouds' schemas, without a cloud."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CLUSTERS = ROOT / "launch" / "clusters"
CLUSTER_PYTHON = ROOT / ".venv-cluster" / "bin" / "python"
CLOUDS = ("aws", "gcp", "azure")
SCRIPTS = sorted(CLUSTERS.glob("*.sh"))

with_ray = pytest.mark.skipif(not CLUSTER_PYTHON.exists(), reason="make cluster-env")


def checked(*files: pathlib.Path) -> list[dict[str, Any]]:
    """Returns each file as Ray completes it, with the first error in it."""
    command = [CLUSTER_PYTHON, ROOT / "tests" / "support" / "cluster_files.py", *files]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return [json.loads(line) for line in printed.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def clusters() -> dict[str, dict[str, Any]]:
    names = (*CLOUDS, "on_premise", "kuberay")
    return dict(zip(names, checked(*(CLUSTERS / f"{name}.yaml" for name in names)), strict=True))


@with_ray
@pytest.mark.parametrize("name", [*CLOUDS, "on_premise", "kuberay"])
def test_ray_and_the_cloud_know_every_setting(clusters: dict[str, Any], name: str) -> None:
    assert clusters[name]["complaint"] is None


@with_ray
@pytest.mark.parametrize(
    ("name", "right", "wrong", "complaint"),
    [
        ("aws", "max_workers: 9", "max_worker: 9", "'max_worker' was unexpected"),
        (
            "aws",
            "MarketType: spot",
            "Market: spot",
            'Unknown parameter in InstanceMarketOptions: "Market"',
        ),
        ("gcp", "provisioningModel: SPOT", "provisioningModel: CHEAP", "'CHEAP' is not one of"),
        ("gcp", "autoDelete: true", "autodelete: true", "'autodelete' was unexpected"),
        ("azure", "osDiskSize: 50", "diskSize: 50", "KeyError: 'diskSize'"),
        ("azure", "type: azure", "type: azur", "azur"),
        ("kuberay", r'"{\"stable\": 1000}"', "stable: 1000", "JSONDecodeError"),
    ],
)
def test_a_misspelt_setting_is_noticed(
    tmp_path: pathlib.Path, name: str, right: str, wrong: str, complaint: str
) -> None:
    text = (CLUSTERS / f"{name}.yaml").read_text()
    assert right in text
    (tmp_path / "wrong.yaml").write_text(text.replace(right, wrong))
    (result,) = checked(tmp_path / "wrong.yaml")
    assert complaint in str(result["complaint"])


@with_ray
@pytest.mark.parametrize("name", [*CLOUDS, "on_premise"])
def test_hosts_run_our_commands_and_none_of_rays_own(clusters: dict[str, Any], name: str) -> None:
    config = clusters[name]["config"]
    (setup,) = config["setup_commands"]
    assert config["head_setup_commands"] == config["worker_setup_commands"] == [setup]
    assert config["initialization_commands"] == []
    commands = [setup, *config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert len(commands) == 3
    for command in commands:
        (script,) = re.findall(r"~/iwpa(?:-source)?/(\S+\.sh)", command)
        assert (ROOT / script).exists(), command


@with_ray
@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_differ_only_in_their_machines(clusters: dict[str, Any], name: str) -> None:
    config, other = clusters[name]["config"], clusters["aws"]["config"]
    for key in (
        "head_start_ray_commands",
        "worker_start_ray_commands",
        "file_mounts",
        "rsync_filter",
        "max_workers",
        "idle_timeout_minutes",
    ):
        assert config[key] == other[key], key
    for machine in ("stable", "preemptible", "gpu"):
        assert (
            config["available_node_types"][machine]["resources"]
            == other["available_node_types"][machine]["resources"]
        )


@with_ray
@pytest.mark.parametrize("name", CLOUDS)
def test_only_actors_machines_are_preemptible_and_none_has_a_public_address(
    clusters: dict[str, Any], name: str
) -> None:
    config = clusters[name]["config"]
    assert config["provider"]["use_internal_ips"]
    settings = {
        machine: json.dumps(described["node_config"])
        for machine, described in config["available_node_types"].items()
    }
    assert [
        machine for machine, text in settings.items() if re.search(r'"spot"', text, re.IGNORECASE)
    ] == ["preemptible"]
    assert not any(
        "accessConfigs" in text or '"AssociatePublicIpAddress": true' in text
        for text in settings.values()
    )
    assert config["available_node_types"]["gpu"]["max_workers"] == 0, (
        "a GPU is paid for only when it was asked for"
    )


@with_ray
def test_kubernetes_pods_share_storage_and_admit_only_each_other(
    clusters: dict[str, Any],
) -> None:
    machines = clusters["kuberay"]["config"]["available_node_types"]
    assert machines["headgroup"]["resources"]["stable"] == 1000
    assert "stable" not in machines["preemptible"]["resources"]
    cluster, policy, claim = parsed(CLUSTERS / "kuberay.yaml")
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    pods = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    for pod in (group["template"]["spec"] for group in pods):
        (container,) = pod["containers"]
        (mount,) = container["volumeMounts"]
        assert mount["mountPath"] == "/mnt/iwpa"
        volumes = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["volumes"]
        }
        assert volumes[mount["name"]] == claim["metadata"]["name"]
        assert {"name": "RAY_worker_niceness", "value": "0"} in container["env"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    members = {"matchLabels": {"ray.io/cluster": cluster["metadata"]["name"]}}
    assert policy["spec"] == {
        "podSelector": members,
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": members}]}],
    }


def parsed(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns a YAML file's documents; only Ray's environment can read YAML."""
    program = (
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))"
    )
    printed = subprocess.run(
        [CLUSTER_PYTHON, "-c", program, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    documents: list[dict[str, Any]] = json.loads(printed.stdout)
    return documents


@pytest.mark.parametrize("name", [*CLOUDS, "kuberay"])
def test_files_that_never_ran_on_a_cloud_say_so_first(name: str) -> None:
    assert (CLUSTERS / f"{name}.yaml").read_text().startswith("# Never run on ")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: pathlib.Path) -> None:
    assert subprocess.run(["sh", "-n", script], capture_output=True, text=True).stderr == ""
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck (Debian: apt-get install shellcheck)")
    assert subprocess.run(["shellcheck", script], capture_output=True, text=True).stdout == ""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["start_ray.sh"], "start_ray.sh: '' is neither head nor worker\n"),
        (["start_ray.sh", "heads"], "start_ray.sh: 'heads' is neither head nor worker\n"),
        (
            ["start_ray.sh", "worker"],
            "start_ray.sh: the address of the head is missing: start_ray.sh worker ADDRESS\n",
        ),
        (
            ["start_ray.sh", "worker", "nowhere"],
            "start_ray.sh: this host has no route to the head, nowhere\n",
        ),
        (
            ["start_ray.sh", "head"],
            "start_ray.sh: {home}/.ray/auth_token is missing; "
            "docs/cluster.md says how to make it\n",
        ),
        (
            ["host_setup.sh"],
            "host_setup.sh: the shared storage is missing: host_setup.sh HOST:/PATH\n",
        ),
    ],
)
def test_scripts_name_what_is_missing(
    tmp_path: pathlib.Path, command: list[str], message: str
) -> None:
    script, *arguments = command
    result = subprocess.run(
        ["sh", CLUSTERS / script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        timeout=30,
    )
    assert (result.returncode, result.stderr) == (2, message.format(home=tmp_path))


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_a_learner_on_a_gpu_has_the_same_tensorflow() -> None:
    assert (
        locked("requirements-gpu.lock")["tensorflow"]
        == locked("requirements.lock")["tensorflow-cpu"]
    )
    assert "tensorflow" not in locked("requirements.lock")


def test_the_image_and_the_hosts_have_the_same_ray() -> None:
    (version,) = re.findall(r'rayVersion: "(\S+)"', (CLUSTERS / "kuberay.yaml").read_text())
    assert locked("requirements-cluster.lock")["ray"] == version


@pytest.mark.parametrize("name", ["", "-benchmarks", "-cluster", "-gpu"])
def test_locks_name_hashes_and_no_index(name: str) -> None:
    text = (ROOT / f"requirements{name}.lock").read_text()
    assert "://" not in text
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in requirement, requirement


def test_benchmarks_share_the_pins_of_the_main_lock() -> None:
    there = locked("requirements-benchmarks.lock")
    assert locked("requirements.lock").items() <= there.items()
    assert {"gym", "jax", "jaxlib"} <= there.keys()

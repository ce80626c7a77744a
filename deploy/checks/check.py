"""Checks what is in deploy without a cluster or a container engine.

    check.py BINARY

The Dockerfile is linted, the compose file read as `docker compose` reads it, and the chart linted and rendered by Helm's
own library; what comes out is compared with the schemas of the oldest and of the newest Kubernetes that the chart is for, and
each configuration is given to `cresset config check`.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml

DEPLOY = Path(__file__).resolve().parent.parent
KUBERNETES = ("1.25", "1.37")
# Helm's severities: what is above information counts.
INFORMATION = 1

HASH = "8d23cf6c86e834a7aa6eded54c26ce2bb2e74903538c61bdd5d2197997ab2f72"
LEAST = {
    "baseUrl": "https://fhir.example.org",
    "clients": [{"name": "operator", "tokenSha256": HASH, "rights": ["admin"]}],
}
ALL = LEAST | {
    "config": '[subscriptions]\ntimeout-max = "2m"\n',
    "topics": {"own.json": '{"resourceType": "SubscriptionTopic"}'},
    "secrets": ["keys"],
    "pullSecrets": ["registry"],
    "env": [{"name": "CRESSET__LOG__LEVEL", "value": "warn"}],
    "persistence": {"storageClass": "fast"},
    "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
    "ingress": {"enabled": True, "className": "nginx", "host": "fhir.example.org", "tlsSecret": "tls", "annotations": {"a": "b"}},
    "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}]},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
# Each is refused before anything is installed.
REFUSED = [
    {},
    LEAST | {"clients": []},
    LEAST | {"baseUrl": "fhir.example.org"},
    LEAST | {"replicas": 2},
    LEAST | {"clients": [{"name": "operator", "tokenSha256": "secret", "rights": ["admin"]}]},
    LEAST | {"ingress": {"enabled": True}},
]


def tool(name):
    return str(Path(sysconfig.get_path("scripts")) / name)


def run(*words):
    print("  " + " ".join(words[:4]), flush=True)
    subprocess.run(words, check=True, cwd=DEPLOY.parent)


def check_config(binary, text):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CRESSET_")}
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        subprocess.run([binary, "config", "check", "--config", file.name], check=True, env=clean)


def check_chart(binary):
    chart_folder = DEPLOY / "helm/cresset"
    for values in (LEAST, ALL):
        report = helm_python.lint(chart_folder, values, strict=True)
        bad = [one for one in report["messages"] if one["severity"] > INFORMATION]
        assert not bad and not report.get("errors"), report
        with helm_python.Chart.load(chart_folder) as chart:
            rendered = chart.render(chart.merge_values(values), name="release", namespace="fhir")
        texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
        objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
        for one in objects:
            for version in KUBERNETES:
                kubernetes_validate.validate(one, version, strict=True)
        secret = next(one for one in objects if one["kind"] == "Secret")
        check_config(binary, secret["stringData"]["cresset.toml"])
        print(f"  chart: {', '.join(one['kind'] for one in objects)}", flush=True)


def check_refused():
    with helm_python.Chart.load(DEPLOY / "helm/cresset") as chart:
        for values in REFUSED:
            try:
                merged = chart.merge_values(values)
                chart.validate_schema(merged)
                chart.render(merged, name="release", namespace="fhir")
            except helm_python.HelmError:
                continue
            raise AssertionError(f"not refused: {values}")


def main():
    binary = sys.argv[1]
    run(tool("hadolint"), "Dockerfile")
    run(tool("docker-compose"), "--file", "deploy/compose/compose.yaml", "config", "--quiet")
    check_config(binary, (DEPLOY / "compose/cresset.toml").read_text().replace("put the hash here", HASH))
    check_config(binary, (DEPLOY / "debian/cresset.toml").read_text())
    check_chart(binary)
    check_refused()


main()

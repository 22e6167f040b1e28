from __future__ import annotations

import pytest
from program import ENVIRONMENT, python

from launch.settings import QUICK_COMPILE
from launch.stages import xla_flags


def test_flags_that_the_compiler_knows_pass(monkeypatch, tmp_path):
    for text in ("", " ", f"{QUICK_COMPILE}  --xla_cpu_enable_fast_math=false"):
        monkeypatch.setenv("XLA_FLAGS", text)
        xla_flags.check_variables()
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "absent"))
    xla_flags.check_variables()


def test_a_flag_of_another_program_is_named_wherever_it_is_set(monkeypatch, tmp_path):
    text = "--xla_gpu_triton_gemm_any=True"
    (tmp_path / "flags").write_text(text)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    for variable, value in (
        ("XLA_FLAGS", text),
        ("XLA_FLAGS", str(tmp_path / "flags")),
        ("TF_XLA_FLAGS", text),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            named = (
                f"^{variable} holds '--xla_gpu_triton_gemm_any=True', "
                f".* start this one with {variable} unset"
            )
            with pytest.raises(ValueError, match=named):
                xla_flags.check_variables()


def test_a_run_with_another_programs_flag_is_refused_before_anything_is_written(tmp_path):
    ended = python(
        "-m",
        "launch.local_multiprocess",
        "--environment=sparse_navigation",
        f"--run_dir={tmp_path / 'run'}",
        variables={**ENVIRONMENT, "XLA_FLAGS": "--of_jax"},
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: XLA_FLAGS holds '--of_jax'")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()

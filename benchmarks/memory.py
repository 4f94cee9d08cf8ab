"""Measure the peak memory of an analysis, above the interpreter's; Linux only.

Usage: ``python benchmarks/memory.py [MODEL]``. Without MODEL a checkpoint of random weights is made in a temporary
folder: a Llama of 3.2 billion parameters, hidden size 3072, bfloat16, three shards (6.4 GB; removed afterwards). The
matrices of ``--layers`` blocks are analyzed, all of them by default; every block has the same shapes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HIDDEN, INTERMEDIATE, KEYS, VOCABULARY = 3072, 8192, 1024, 128_256
KIB_PER_MIB = 1024
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}
MEASURE = """
import sys, time
from pathlib import Path

def peak():  # the kernel's high-water mark of this program; getrusage keeps that of the program that started it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])

bare = peak()
from stance_suite.spectra import analyze
start = time.perf_counter()
layers = analyze(sys.argv[1]).layers
print(len(layers), bare, peak(), time.perf_counter() - start)
"""


def make_checkpoint(folder: Path, layers: int) -> None:
    """Write random weights shard by shard; no shard is ever in memory twice."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32).mul_(0.02).bfloat16()

    weight_map = {}
    for shard in range(3):
        tensors = {"model.embed_tokens.weight": draw(VOCABULARY, HIDDEN)} if shard == 0 else {}
        for block in range(shard * layers // 3, (shard + 1) * layers // 3):
            prefix = f"model.layers.{block}."
            tensors |= {f"{prefix}{name}.weight": draw(*shape) for name, shape in SHAPES.items()}
            tensors[f"{prefix}input_layernorm.weight"] = draw(HIDDEN)
        name = f"model-{shard + 1:05d}-of-00003.safetensors"
        save_file(tensors, folder / name)
        weight_map |= dict.fromkeys(tensors, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def main() -> None:
    """Print the peak of an analysis in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--layers", type=int, default=28)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = given.model
        if model is None:
            model = scratch
            make_checkpoint(Path(scratch), given.layers)
        size = sum(path.stat().st_size for path in Path(model).glob("*.safetensors")) / 2**30
        done = subprocess.run([sys.executable, "-c", MEASURE, model], capture_output=True, text=True, check=True)
    layers, bare, peak, seconds = done.stdout.split()
    above = (int(peak) - int(bare)) / KIB_PER_MIB
    print(f"{layers} matrices of {size:.2f} GiB of weights in {float(seconds):.0f} s")
    print(f"peak memory {above:.0f} MiB above the bare interpreter's {int(bare) / KIB_PER_MIB:.0f} MiB")


if __name__ == "__main__":
    main()

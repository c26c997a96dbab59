#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random networks of torchvision and timm, for comparing against PyTorch. Nothing is downloaded.

Reads one job per line from standard input, JSON: library (torchvision or timm), model, seed, classes,
batch, sizes ([height, width], ...) and out, a folder; statistics, the images from which those of batch norm
are made, are 2 unless given. Writes there weights.pth, a state dict, and for each size HxW.input.f32 and HxW.logits.f32, raw little-endian float32, NCHW; where "features" is true, for
torchvision, HxW.features.f32 too: of the first image the maps of strides 2, 4, ... before the head, each as
the last layer with that stride leaves it, [height][width][channels]. A job with types (float32, float16,
bfloat16, float64; float32-tied with tensors that share a storage) writes, in place of weights.pth, TYPE-zip.pth and TYPE-stream.pth, torch's container of
today and that of before 1.6, wrapped in turn as training scripts do, and TYPE.HxW.logits.f32, with the weights
so rounded. Answers each job with one line of JSON, {"parameters": ...} or {"error": ...}. The first line it
writes says what it has: {"torch": ..., "torchvision": ..., "timm": ...}.

  echo '{"library": "timm", "model": "tinynet_e", "seed": 1, "classes": 1000, "batch": 2,
    "sizes": [[106, 106]], "out": "build/tinynet"}' | tr -d '\\n' | python3 test/golden/make_networks.py

Weights, batch-norm scales, shifts, biases and statistics are random, the statistics so that activations
stay in range.

With --names FILE it writes only the tensor names and shapes of B0 in both libraries
(test/golden/b0-tensors.json was made so, with torchvision 0.14 and timm 0.9.16). The job
{"configurations": "timm"} or "torchvision" answers how that library prepares images for each of its
published weights; {"count": "timm" or "torchvision", "model": ..., "size": pixels} how many parameters and
multiply-accumulates a model has, counted layer by layer on shapes alone.

Debian: apt-get install python3-torch python3-torchvision. timm: pip install timm.
"""
import importlib
import json
import os
import sys


def create(library, model, classes, **options):
    if library == "torchvision":
        import torchvision
        return getattr(torchvision.models, model)(num_classes=classes)
    import timm
    # What timm sets where it loads the published weights.
    published = {"bn_eps": 1e-3} if model == "fbnetc_100" else {}
    return timm.create_model(model, num_classes=classes, **published, **options)


def randomise(network, size, images=2):
    import torch
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.2, 0.6)
        torch.nn.init.normal_(norm.bias, 0, 0.2)
    for module in network.modules():
        # The libraries begin with zero biases, which would hide a bias that is not applied.
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
            torch.nn.init.normal_(module.bias, 0, 0.2)

    def measure(norm, inputs):
        # Some channels of random networks are dead, others hardly vary from image to image. True statistics
        # would blow that little up in every layer, until rounding errors show in the logits (40 % of B8's):
        # so half of the mean stays, no channel counts as much quieter than its neighbours, and scales are small.
        mean = inputs[0].mean((0, 2, 3)) * torch.empty_like(norm.running_mean).uniform_(0.3, 0.7)
        norm.running_mean.copy_(mean)
        spread = (inputs[0] - mean[:, None, None]).square().mean((0, 2, 3))
        spread += spread.mean()
        norm.running_var.copy_(spread * torch.empty_like(spread).uniform_(0.7, 1.4))

    network.eval()
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    inputs = torch.randn(images, 3, *size)
    logits = network(inputs)
    for hook in hooks:
        hook.remove()
    return inputs, logits


def features(network, images):
    import torch
    maps, x = [], images
    for layer in network.features[:-1]:  # the last is the head's convolution
        before, x = x, layer(x)
        if before is not images and before.shape[2:] != x.shape[2:]:
            maps.append(before)
    maps.append(x)
    return torch.cat([one[0].permute(1, 2, 0).flatten() for one in maps])


def make(job):
    import torch
    os.makedirs(job["out"], exist_ok=True)
    torch.manual_seed(job["seed"])
    network = create(job["library"], job["model"], job["classes"])
    # Statistics of the largest size: those of smaller ones let activations grow from layer to layer.
    first, its_logits = randomise(network, [max(sides) for sides in zip(*job["sizes"])], job.get("statistics", 2))
    shapes = [(job["batch"], 3, height, width) for height, width in job["sizes"]]
    # Every norm had its statistics when the first images passed it: what came out of them is right.
    images = [first if shape == first.shape else torch.randn(*shape) for shape in shapes]
    for pixels in images:
        write(job, "", ".input", pixels, pixels)
    if "types" in job:
        save_containers(job, network, images)
    else:
        torch.save(network.state_dict(), os.path.join(job["out"], "weights.pth"))
        for pixels in images:
            write(job, "", ".logits", pixels, its_logits if pixels is first else network(pixels))
            if job.get("features"):
                write(job, "", ".features", pixels, features(network, pixels))
    return {"parameters": sum(p.numel() for p in network.parameters())}


def write(job, prefix, suffix, pixels, values):
    height, width = pixels.shape[2:]
    values.numpy().astype("<f4").tofile(os.path.join(job["out"], f"{prefix}{height}x{width}{suffix}.f32"))


def save_containers(job, network, images):
    import torch
    exact = {name: value.clone() for name, value in network.state_dict().items()}
    for turn, name in enumerate(job["types"]):
        dtype = getattr(torch, name.split("-")[0])
        # Doubles that no float32 holds, but that round to the float32 they were.
        grain = 1 + 2.0 ** -30 if dtype == torch.float64 else 1
        state = {key: value.to(dtype) * grain if value.is_floating_point() else value for key, value in exact.items()}
        if name.endswith("-tied"):
            tie(state)
        assert all(bool(torch.isfinite(value).all()) for value in state.values()), "a weight does not fit " + name
        network.load_state_dict(state)
        for pixels in images:
            write(job, name + ".", ".logits", pixels, network(pixels))
        for container, shift in (("zip", 0), ("stream", 2)):
            path = os.path.join(job["out"], f"{name}-{container}.pth")
            torch.save(wrap(state, turn + shift), path, _use_new_zipfile_serialization=container == "zip")


def tie(state):
    """Two convolutions and a norm become views of one storage, over each other."""
    first, second = [key for key, value in state.items() if value.ndim == 4][:2]
    norm = next(key for key, value in state.items() if value.ndim == 1 and value.is_floating_point())
    storage = state[first].flatten()
    state[first] = storage.view_as(state[first])
    state[second] = storage[:state[second].numel()].view_as(state[second])
    state[norm] = storage[100:100 + len(state[norm])]


def wrap(state, turn):
    """The weights as they are, or as one of the ways in which training scripts keep them."""
    import collections
    import torch
    if turn % 4 == 0:
        return collections.OrderedDict(state)
    parallel = collections.OrderedDict(("module." + key, value) for key, value in state.items())
    some = next(iter(state.values()))
    optimizer = {"state": {0: {"step": 5, "momentum_buffer": torch.zeros_like(some)}},
                 "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "amsgrad": False, "foreach": None, "params": [0]}]}
    about = {"epoch": 7, "arch": "efficientnet", "metric": 77.5, "optimizer": optimizer}
    if turn % 4 == 1:
        return {**about, "state_dict": parallel}
    if turn % 4 == 2:
        # Averaged weights are the better ones; what they share with the others is stored once.
        other = {key: value + 1 if key.endswith("bias") else value for key, value in parallel.items()}
        return {**about, "version": 2, "state_dict": other, "state_dict_ema": parallel}
    return {**about, "model": state}


def count(library, model, size):
    import torch
    network = create(library, model, 1000, **({"device": "meta"} if library == "timm" else {})).eval().to("meta")
    macs = 0

    def add(layer, _, output):
        nonlocal macs
        macs += output[0].numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(add)
    network(torch.empty(1, 3, size, size, device="meta"))
    return {"parameters": sum(p.numel() for p in network.parameters()), "macs": macs}


def timm_configurations():
    import timm
    found = {}
    for name in timm.list_models(module="efficientnet") + timm.list_models(module="mobilenetv3"):
        module = importlib.import_module("timm.models." + timm.models._registry._model_to_module[name])
        configurations = module.default_cfgs[name]
        found[name] = {tag or "": {
            "size": list(one.input_size[1:]), "cropFraction": one.crop_pct, "crop": one.crop_mode, "filter": one.interpolation,
            "mean": list(one.mean), "std": list(one.std), "classes": one.num_classes,
        } for tag, one in ((tag, configurations.cfgs[tag]) for tag in configurations.tags)}
    return found


def torchvision_configurations():
    import torchvision
    found = {}
    for name in ("efficientnet", "mobilenetv2", "mobilenetv3", "mnasnet"):
        module = importlib.import_module("torchvision.models." + name)
        for value in vars(module).values():
            if not (isinstance(value, type) and value.__name__.endswith("_Weights") and value.__module__ == module.__name__):
                continue
            found[function_of(module, value.__name__[:-len("_Weights")])] = {one.name.lower(): describe(one.transforms()) for one in value}
    return found


def function_of(module, title):
    """The function that makes the model of a class of weights: EfficientNet_V2_S, efficientnet_v2_s."""
    return next(name for name in vars(module) if name == title.lower())


def describe(transforms):
    return {"size": transforms.crop_size * 2, "resized": transforms.resize_size[0], "filter": transforms.interpolation.value,
            "mean": list(transforms.mean), "std": list(transforms.std)}


def serve():
    def version(name):
        try:
            return importlib.import_module(name).__version__
        except ImportError:
            return None
    print(json.dumps({name: version(name) for name in ("torch", "torchvision", "timm")}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            if "configurations" in job:
                answer = timm_configurations() if job["configurations"] == "timm" else torchvision_configurations()
            elif "count" in job:
                answer = count(job["count"], job["model"], job["size"])
            else:
                answer = make(job)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def write_names(path):
    names = {}
    for library in ("torchvision", "timm"):
        tensors = create(library, "efficientnet_b0", 1000).state_dict()
        names[library] = {key: list(value.shape) for key, value in tensors.items()}
    with open(path, "w") as file:
        file.write("{\n")
        for i, (library, tensors) in enumerate(names.items()):
            lines = [f"    {json.dumps(key)}: {json.dumps(shape)}" for key, shape in tensors.items()]
            file.write(f"  {json.dumps(library)}: {{\n" + ",\n".join(lines) + "\n  }" + ("," if i == 0 else "") + "\n")
        file.write("}\n")


def main():
    import torch
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--names"] and len(sys.argv) == 3:
        write_names(sys.argv[2])
    elif len(sys.argv) == 1:
        serve()
    else:
        sys.exit("give --names FILE, or jobs on standard input")


if __name__ == "__main__":
    main()

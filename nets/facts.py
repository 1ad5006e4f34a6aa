"""What a run tells of how it was computed, beside its results: the types of it, for records and documents.

Times are seconds, memory is bytes. Nothing here tells of the file system or names a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

Source = Literal["cold", "disk", "process"]


@dataclass(frozen=True)
class About:
    """What a field is: an annotation of its type, for documents."""

    text: str

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core), "description": self.text}


class Tally(TypedDict):
    """How many, and how many seconds they took in all."""

    count: int
    seconds: float


class ProgramOrigin(TypedDict):
    """One compiled program of a run, and where it came from."""

    name: Annotated[str, About("`train`, `tail` (the last batch where it differs), `update`, `evaluate` or `average`.")]
    source: Annotated[
        Source,
        About("`cold`: compiled anew. `disk`: read from the disk. `process`: a run of the process had used it."),
    ]
    seconds: Annotated[float, About("Time to compile or read it, on a thread of its own; 0 for `process`.")]
    ahead: Annotated[bool, About("Whether that began before the run asked for it, as when it is compiled ahead.")]


class KernelOrigins(TypedDict):
    """Lamina's own kernels of machine code that the process did not have yet."""

    cold: Annotated[Tally, About("Kernels that were compiled anew.")]
    disk: Annotated[Tally, About("Kernels that were read from the disk.")]


class Compilation(TypedDict):
    """Where the compiled programs of a run came from, at its last start."""

    kind: Annotated[
        Literal["cold", "disk", "process", "mixed"],
        About("The one source of all programs, else `mixed`. A kernel that was compiled anew counts as `cold`."),
    ]
    seconds: Annotated[
        float,
        About("Time that the run waited for its programs, some of them while it trained already."),
    ]
    cold: Annotated[Tally, About("Programs that were compiled anew.")]
    disk: Annotated[Tally, About("Programs that were read from the disk.")]
    process: Annotated[Tally, About("Programs that a run of this process had used before.")]
    ahead: Annotated[int, About("How many were begun before the run asked: it has waited for less than they took.")]
    programs: Annotated[list[ProgramOrigin], About("Each program that is there.")]
    kernels: Annotated[KernelOrigins, About("Kernels of machine code; their time is also in that of their programs.")]


class StepSeconds(TypedDict):
    """Time of one training step: the time of a dispatch by its steps, without the first dispatch of each program."""

    p5: Annotated[float, About("The 5th percentile of all steps.")]
    p50: Annotated[float, About("The median.")]
    p95: Annotated[float, About("The 95th percentile.")]
    steps: Annotated[int, About("How many steps were measured.")]
    dispatches: Annotated[int, About("In how many dispatches: those steps are told apart no further.")]


class Timing(TypedDict):
    """How long epochs and steps took. All but `first_epochs` is since the last start or resume."""

    first_epochs: Annotated[list[int], About("The epochs that were the first after the start and after each resume.")]
    first_epoch_seconds: Annotated[float | None, About("`epoch_time` of the last of these epochs.")]
    median_epoch_seconds: Annotated[float | None, About("Median `epoch_time` of the epochs after it; null for none.")]
    step_seconds: Annotated[
        StepSeconds | None,
        About("Time of a step: that of a dispatch by its steps, without the first dispatch of each program."),
    ]


class PeakMemory(TypedDict):
    """The most memory that was in use at a time."""

    bytes: Annotated[int | None, About("The peak; null where it cannot be had.")]
    of: Annotated[Literal["device", "process"], About("The accelerator's own memory, or that of the server's process.")]
    since: Annotated[
        Literal["run", "process"],
        About("`run`: reached during the run. `process`: reached before, and the run took no more than that."),
    ]
    reason: Annotated[str | None, About("Why there is no peak.")]


class Processor(TypedDict):
    """The CPU."""

    model: Annotated[str, About("As the system calls it.")]
    vector_unit: Annotated[str | None, About("The most able one.")]
    cores: Annotated[int, About("Cores that the process may use.")]
    cores_of_machine: Annotated[int, About("Cores that there are.")]
    quota: Annotated[float | None, About("How many cores' time its control groups allow; null for no limit.")]


class Device(TypedDict):
    """What trains."""

    platform: Annotated[str, About("`cpu`, `gpu` or `tpu`.")]
    kind: Annotated[str, About("The model.")]
    count: Annotated[int, About("How many of its platform are visible; one of them trains.")]
    memory_bytes: Annotated[int | None, About("Memory of its own that JAX may use; null on a CPU.")]
    driver: Annotated[str | None, About("Version of NVIDIA's driver.")]
    cuda: Annotated[str | None, About("Version of CUDA.")]


class Environment(TypedDict):
    """What a run was computed with, beside `versions`."""

    machine: Annotated[str | None, About("Tells machines apart and names none: a hash of the system's own id.")]
    processor: Annotated[Processor, About("The CPU.")]
    threads: Annotated[int, About("Threads that compute on the CPU.")]
    ram_bytes: Annotated[int | None, About("Memory of the machine.")]
    os: Annotated[str, About("The operating system.")]
    kernel: Annotated[str, About("Its kernel, and the instruction set.")]
    python: Annotated[str, About("Implementation and version.")]
    device: Annotated[Device, About("What trains.")]
    libraries: Annotated[dict[str, str], About("Versions of libraries that compute, beside those in `versions`.")]
    flags: Annotated[dict[str, str], About("Environment variables of XLA, JAX and CUDA, with `<path>` for paths.")]


class DeviceMemory(TypedDict):
    """The memory of a device, now."""

    of: Annotated[Literal["device", "host"], About("The device's own memory, or that of the machine.")]
    total_bytes: Annotated[int | None, About("All of it.")]
    free_bytes: Annotated[int | None, About("What can still be taken: of a device's own, by this process.")]
    usable_bytes: Annotated[int | None, About("What JAX may take of a device's own; null for the machine's.")]
    preallocated_bytes: Annotated[int | None, About("What JAX holds of a device's own in advance, used or not.")]
    reason: Annotated[str | None, About("Why one of these is not known.")]


class Peak(TypedDict):
    """The most floating-point operations a second, two for each multiply-add."""

    flops_per_second: float | None
    reason: Annotated[str | None, About("Why it is not known.")]


class DataSheet(TypedDict):
    """What the data sheet of a kind of device says: of dense products, without sparsity."""

    float32: Peak
    bfloat16: Peak
    bandwidth: Annotated[float | None, About("Of its memory, in bytes a second.")]
    source: Annotated[str | None, About("Where it stands.")]


class DeviceFacts(TypedDict):
    """A device, without what is measured of it."""

    id: Annotated[str, About("Its name, such as `gpu:1`: for `hyperparams.device`.")]
    platform: Annotated[str, About("`cpu`, `gpu` or `tpu`.")]
    kind: Annotated[str, About("The model.")]
    default: Annotated[bool, About("Whether runs train on it that name no device.")]
    memory: Annotated[DeviceMemory, About("Its memory, now.")]
    driver: Annotated[str | None, About("Version of NVIDIA's driver.")]
    cuda: Annotated[str | None, About("Version of CUDA.")]
    data_sheet: Annotated[DataSheet, About("What its data sheet says.")]


class MeasuredPeak(TypedDict):
    """What a device was measured to do: products of two large matrices, and copies of its memory."""

    float32: Annotated[float | None, About("Floating-point operations a second, two for each multiply-add.")]
    bfloat16: Annotated[float | None, About("The same of operands in bfloat16, with sums in float32.")]
    bandwidth: Annotated[float | None, About("Bytes a second that are read and written.")]
    measured_at: Annotated[str | None, About("When, in UTC.")]
    reason: Annotated[str | None, About("Why it is not measured yet.")]


class DeviceTold(DeviceFacts):
    """A device, with what is measured of it."""

    measured_peak: Annotated[MeasuredPeak, About("What it was measured to do.")]


class HostFacts(TypedDict):
    """The machine that devices are in."""

    processor: Annotated[Processor, About("The CPU.")]
    ram_bytes: Annotated[int | None, About("Memory of the machine.")]
    jax: Annotated[str, About("Version of JAX.")]
    jaxlib: Annotated[str, About("Version of its compiled part.")]


class StoppedBy(TypedDict):
    """What ended the training of a run before the end of its last epoch."""

    rule: Annotated[
        Literal["early_stopping", "target", "max_steps", "max_seconds"], About("The hyperparameter that asked for it.")
    ]
    epoch: Annotated[int, About("The epoch that it was the end of.")]
    whole: Annotated[bool, About("Whether that epoch has seen all of its samples.")]
    step: Annotated[int, About("Steps of the optimizer until then.")]
    seconds: Annotated[float, About("Time of all training and validation until then.")]
    metric: Annotated[str | None, About("What was looked at; null for limits.")]
    value: Annotated[float | None, About("Of the metric: the best until then, or that which reached the target.")]
    best_epoch: Annotated[int | None, About("The epoch since which it has not been better, of `early_stopping`.")]
    message: Annotated[str, About("The same as a sentence.")]


class TargetReached(TypedDict):
    """When a metric was first as good as `hyperparams.target` asks for."""

    metric: str
    target: float
    value: Annotated[float, About("Of the metric, after that epoch.")]
    epoch: int
    seconds: Annotated[float, About("Time of all training and validation until then, compilation not counted.")]

"""IREE's HAL in four verbs: open a device, load a graph, put bytes there, read them back."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import iree.runtime as rt
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..host import narrowed_cpus, usable_threads
from ..preemption import starting_workers
from .weight_spec import ITEM_SIZES, TensorSpec

ELEMENT_TYPES = {
    "f32": rt.HalElementType.FLOAT_32,
    "bf16": rt.HalElementType.BFLOAT_16,
    "f16": rt.HalElementType.FLOAT_16,
    "i32": rt.HalElementType.SINT_32,
    "i8": rt.HalElementType.SINT_8,
}
NUMPY_DTYPES: dict[str, type[np.generic]] = {"f32": np.float32, "i32": np.int32}
_BITS = {2: np.dtype(np.uint16), 4: np.dtype(np.uint32)}
# what IREE asks of memory it is to use where it lies
_ALIGNMENT = 64
_USAGE = rt.BufferUsage.DEFAULT | rt.BufferUsage.MAPPING


class Device:
    """One HAL device and the VM instance graphs are loaded into."""

    def __init__(self, driver: str, threads: int | None = None) -> None:
        if driver == "local-task":
            _set_threads(usable_threads(threads))
        self.driver = driver
        self.instance = rt.VmInstance()
        self.hal = _open(driver)
        self.hal_module = rt.create_hal_module(self.instance, self.hal)
        self._is_host = driver.startswith("local")
        self._memory = rt.MemoryType.DEVICE_LOCAL
        if self._is_host:
            self._memory |= rt.MemoryType.HOST_VISIBLE

    def load(self, path: Path, function: str) -> tuple[Any, Any]:
        """The context and entry function of a `.vmfb`. Raises `UserError` if IREE refuses it."""
        try:
            # not mmap: on a refusal it closes the file while an exception is set (SystemError)
            module = rt.VmModule.copy_buffer(self.instance, path.read_bytes())
            context = rt.VmContext(self.instance, [self.hal_module, module])
            entry = module.lookup_function(function)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise UserError(f"{path}: IREE's {self.driver} device refuses it: {reason}") from None
        if entry is None:
            raise UserError(f"{path}: has no function {function}: compile the bundle again")
        return context, entry

    def put(self, spec: TensorSpec, data: npt.NDArray[Any]) -> Any:
        """A buffer view holding a copy of `data`'s bytes."""
        buffer = self.hal.allocator.allocate_buffer_copy(
            self._memory, _USAGE, self.hal, np.ascontiguousarray(data)
        )
        return rt.HalBufferView(buffer, list(spec.shape), ELEMENT_TYPES[spec.dtype])

    def adopt(self, spec: TensorSpec, data: npt.NDArray[np.uint8]) -> Any:
        """A buffer view over `data` where it lies if it is aligned host memory, else a copy.

        IREE does not keep `data` alive: the caller must, for as long as the view is used.
        """
        if not self._is_host or data.ctypes.data % _ALIGNMENT:
            return self.put(spec, data)
        return self._import(spec, data)

    def zeros(self, spec: TensorSpec) -> tuple[Any, object]:
        """A buffer view of zeros, a cache, and what must be kept alive as long as it is used.

        On the host its pages are the system's own zeros until they are written: nothing is filled,
        and slots that are not used take no memory. Raises `UserError` where there is none.
        """
        try:
            if self._is_host:
                memory = _aligned_zeros(spec.nbytes)
                return self._import(spec, memory), memory
            buffer = self.hal.allocator.allocate_buffer(self._memory, _USAGE, spec.nbytes)
        except (RuntimeError, TypeError, MemoryError, ValueError):
            raise UserError(
                f"no memory for the cache: {spec.name} takes {spec.nbytes / 1e6:,.0f} MB: "
                "use a smaller --context or fewer --slots"
            ) from None
        buffer.fill_zero(0, spec.nbytes)
        return rt.HalBufferView(buffer, list(spec.shape), ELEMENT_TYPES[spec.dtype]), None

    def bits(self, view: Any, spec: TensorSpec) -> npt.NDArray[Any]:
        """The buffer itself as unsigned integers of `spec`'s shape, where the host can write it.

        Neither may be in use by a call, nor the view outlived.
        """
        array: npt.NDArray[Any] = view.map().asarray(
            list(spec.shape), _BITS[ITEM_SIZES[spec.dtype]]
        )
        return array

    def read(self, view: Any, spec: TensorSpec) -> npt.NDArray[Any]:
        """A copy of a result's values, on the host."""
        dtype = np.dtype(NUMPY_DTYPES[spec.dtype])
        return np.array(view.map().asarray(list(spec.shape), dtype))

    def _import(self, spec: TensorSpec, data: npt.NDArray[np.uint8]) -> Any:
        buffer = self.hal.allocator.import_host_allocation(data, self._memory, _USAGE)
        return rt.HalBufferView(buffer, list(spec.shape), ELEMENT_TYPES[spec.dtype])


def _aligned_zeros(nbytes: int) -> npt.NDArray[np.uint8]:
    room = np.zeros(nbytes + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + nbytes]


@cache
def _set_threads(count: int) -> None:
    # process-wide in IREE: the first device's count is everybody's
    if cpus := narrowed_cpus(count):
        # workers that are only counted run on any CPU, whatever taskset gave this process
        rt.flags.parse_flags(f"--task_topology_cpu_ids={','.join(map(str, cpus))}")
    else:
        rt.flags.parse_flags(f"--task_topology_group_count={count}")


@cache
def _open(driver: str) -> Any:
    # kept for the whole process: IREE's buffers must not outlive their device, and what Python
    # collects in a cycle (an interrupt's traceback holds a session) goes in no certain order
    try:
        with starting_workers():
            return rt.get_driver(driver).create_default_device()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"no {driver} device can be opened here: {reason}") from None

"""What every reader of GPUs promises, on a library of our own and, where there is one, on a real card."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from publisher.errors import GpusUnreadable
from publisher.gpus import GpuReader, NvmlReader
from publisher.settings import Settings
from publisher.slots import detect_slots, with_holders

GIB = 1024**3


class Failure(Exception):
    """What the library raises."""


class NoLibrary(Failure):
    pass


class NoDriver(Failure):
    pass


@dataclass
class OurLibrary:
    """The few calls of NVML that are used, with two cards."""

    cards: int = 2
    starts_with: type[Exception] | None = None
    lost: int | None = None
    closed: int = 0
    NVMLError_LibraryNotFound = NoLibrary
    NVMLError_DriverNotLoaded = NoDriver

    def nvmlInit(self) -> None:  # noqa: N802 - the library's own names
        if self.starts_with is not None:
            raise self.starts_with

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.closed += 1

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "570.86"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index == self.lost:
            raise Failure("GPU is lost")
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return "A Card"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(total=(handle + 1) * 24 * GIB)


def real() -> GpuReader:
    reader = NvmlReader()
    if not reader.read():
        pytest.skip("this machine has no NVIDIA GPU")
    return reader


@pytest.fixture(params=["ours", "real"])
def reader(request: pytest.FixtureRequest) -> GpuReader:
    return NvmlReader(OurLibrary()) if request.param == "ours" else real()


def test_each_card_is_told_with_its_name_its_memory_and_its_driver(reader: GpuReader) -> None:
    cards = reader.read()
    assert [card.index for card in cards] == list(range(len(cards)))
    assert len({card.uuid for card in cards}) == len(cards)
    for card in cards:
        assert card.name
        assert card.driver
        assert card.memory_bytes > GIB


def test_reading_twice_tells_the_same(reader: GpuReader) -> None:
    assert reader.read() == reader.read()


def test_there_is_one_slot_for_each_card_with_what_is_known_of_it(reader: GpuReader) -> None:
    cards = reader.read()
    slots = detect_slots(Settings(), reader)
    assert [slot.gpu for slot in slots] == [card.index for card in cards]
    assert [slot.memory_bytes for slot in slots] == [card.memory_bytes for card in cards]


def test_more_slots_than_cards_share_them_in_turn_and_only_because_the_setting_says_so() -> None:
    slots = detect_slots(Settings(slots=5), NvmlReader(OurLibrary()))
    assert [slot.gpu for slot in slots] == [0, 1, 0, 1, 0]
    held = with_holders(slots, {1: "demo-1-1-ab"})
    assert [slot.holder for slot in held] == [None, "demo-1-1-ab", None, None, None]


@pytest.mark.parametrize("why", [NoLibrary, NoDriver])
def test_without_a_driver_there_are_only_the_slots_of_the_cpu(why: type[Exception]) -> None:
    slots = detect_slots(Settings(cpu_slots=3), NvmlReader(OurLibrary(starts_with=why)))
    assert [(slot.number, slot.gpu) for slot in slots] == [(0, None), (1, None), (2, None)]


def test_a_lost_card_is_an_error_that_says_so_and_never_a_machine_with_fewer_cards() -> None:
    """Fault 21."""
    library = OurLibrary(lost=1)
    with pytest.raises(GpusUnreadable, match="GPU is lost"):
        detect_slots(Settings(), NvmlReader(library))
    assert library.closed == 1


def test_a_driver_that_hangs_does_not_hang_whoever_asks() -> None:
    released = threading.Event()

    class Hanging(OurLibrary):
        def nvmlInit(self) -> None:  # noqa: N802
            released.wait(60)

    try:
        with pytest.raises(GpusUnreadable, match=r"within 0\.2 s"):
            NvmlReader(Hanging(), limit_seconds=0.2).read()
    finally:
        released.set()

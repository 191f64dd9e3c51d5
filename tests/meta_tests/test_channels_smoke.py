"""The channels with which the suite is tested work as far as they should, and their tables are well-formed."""

import asyncio
import contextlib
import re

import pytest
from channels import DEFECTS, SOUND, Target
from channels import defective as defective_module
from channels import sound as sound_module

from aioservicekit_model.rules import RULES

CALLBACKS_ENOUGH = 200

# Defects that spoil even the few steps of `happy_path`.
SPOILT = {
    "blocks_drop_messages",
    "blocks_raise_when_the_subscriber_is_closed",
    "buffers_one_too_few",
    "closed_and_empty_reads_wait",
    "closes_when_both_are_gone",
    "closing_loses_the_oldest",
    "closing_the_channel_drops_messages",
    "closing_the_subscriber_drops_messages",
    "desertion_closes_the_state_alone",
    "iteration_ends_early",
    "iteration_never_ends",
    "iteration_raises",
    "looks_for_closed_before_messages",
    "misses_the_first",
    "newest_first",
    "opens_in_subscribe_alone",
    "opens_later",
    "orders_differ",
    "outlives_its_publishers",
    "receives_from_the_first_read",
    "second_channel_close_raises",
    "second_close_raises",
    "subscribers_outlive_the_channel",
    "with_leaves_the_publisher_open",
    "zero_is_no_room",
}


async def happy_path(target: Target) -> list[object]:
    """Two subscribers get two messages from one publisher, which ends the channel. Return what they got, and its state."""
    channel = target.Channel(2)
    got: list[object] = []
    async with await channel.subscribe() as first, await channel.subscribe(buffer_size=0) as second:
        async with await channel.connect() as publisher:
            await publisher.send("a")
            await publisher.send("b")
            got.append(await first.read())
        with contextlib.suppress(target.ChannelClosedError):
            got.append(await first.read())
            await first.read()
    got += [message async for message in second]
    await channel.close()
    return [*got, channel.state]


async def until_rest(target: Target) -> list[object]:
    """Return the outcome of `happy_path`, or its error; nothing if it gets stuck."""
    task = asyncio.create_task(happy_path(target))
    for _ in range(CALLBACKS_ENOUGH):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    return result if isinstance(result, list) else [result]


def succeeds(target: Target) -> bool:
    return asyncio.run(until_rest(target)) == ["a", "b", "a", "b", target.ChannelState.closed]


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_channel_delivers_in_order_and_ends_with_its_publisher(name: str) -> None:
    """A sound channel completes the happy path."""
    assert succeeds(SOUND[name])


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defective_channel_spoils_no_more_than_its_defect(name: str) -> None:
    """A defective channel completes the happy path too, unless its defect lies on it."""
    assert succeeds(DEFECTS[name].target) is (name not in SPOILT)


def test_every_defect_names_a_rule_and_its_mistake_in_one_sentence() -> None:
    """The table's entries are complete."""
    for name, defect in DEFECTS.items():
        assert defect.name == name
        assert defect.rule in RULES
        assert re.fullmatch(r"[A-Z`].*\.", defect.why)


def test_the_channels_are_targets_by_their_names() -> None:
    """Only `channels.sound:<name>` and `channels.defective:<name>` name targets."""
    assert all(getattr(sound_module, name) is target for name, target in SOUND.items())
    assert all(getattr(defective_module, name) is defect.target for name, defect in DEFECTS.items())
    assert not hasattr(sound_module, "no_such_channel")
    assert not hasattr(defective_module, "no_such_channel")

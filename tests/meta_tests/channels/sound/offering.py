"""What most sound channels offer in the same way: valid sizes, `async with` and `async for`."""

from types import TracebackType
from typing import Generic, Self, TypeVar

from ..plain import (
    ChannelClosedError,
)

T = TypeVar("T")


def valid_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError("a buffer size is an int")
    if size < 0:
        raise ValueError("a buffer size is 0 or more")
    return size


class Closing:
    """The `async with` of everything that has a `close()`."""

    async def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Reading(Closing, Generic[T]):
    """The `async for` of everything that has a `read()`."""

    closed_error: type[Exception] = ChannelClosedError

    async def read(self) -> T:
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.read()
        except self.closed_error:
            raise StopAsyncIteration from None


# ----------------------------------------------------------------------------------------------------------- restless

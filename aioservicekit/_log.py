"""The library's log. A handler of the program's that raises must not keep a service from stopping (SV-1.3)."""

import logging
import traceback
from typing import Any

__all__ = ["logger"]


class _Logger(logging.LoggerAdapter[logging.Logger]):
    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        try:
            self.logger.log(level, msg, *args, stacklevel=2, **kwargs)
        except Exception:
            traceback.print_exc()  # it can't be logged


logger = _Logger(logging.getLogger("aioservicekit"))

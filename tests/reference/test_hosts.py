"""Services inside servers, and servers inside services, each in a child process (SV-6.3, SV-6.5)."""

import signal
from textwrap import dedent

import pytest
from processes import Child

LOOPS = ["asyncio", "uvloop"]

PREAMBLE = """
import asyncio, contextlib, signal, sys, threading
from aioservicekit import Service, main, run_services

class Worker(Service):  # its work never ends by itself
    async def __on_start__(self):
        print(self.name, "starts")
    async def __work__(self):
        await self.stopping
    async def __on_stop__(self):
        print(self.name, "stops")

async def app(scope, receive, send):  # ASGI
    if scope["type"] == "lifespan":
        await receive()
        async with run_services([Worker(name="inside")]):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

async def bare_app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

def run(coro, loop):
    factory = None
    if loop == "uvloop":
        import uvloop
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(coro)
    print("ended")

async def run_all(*services):
    async with run_services(services) as stopped:
        await stopped
"""

UVICORN = """
import uvicorn

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("serving")

def server(app):
    return Server(uvicorn.Config(app, port=0, log_level="warning", loop="none"))

async def serve(app):
    await server(app).serve()
"""

HYPERCORN = """
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
import logging

class Printing(logging.Handler):
    def emit(self, record):
        if "Running on" in record.getMessage():
            print("serving")

config = Config()
config.bind = ["127.0.0.1:0"]
config.errorlog = logging.getLogger("hypercorn")
config.errorlog.addHandler(Printing())
config.errorlog.setLevel(logging.INFO)

async def serve(app):
    await hypercorn_serve(app, config)
"""

SERVERS = {"uvicorn": UVICORN, "hypercorn": HYPERCORN}


def child(server: str, loop: str, program: str) -> Child:
    pytest.importorskip(server, reason=f"{server} is not installed")
    pytest.importorskip(loop, reason=f"{loop} is not installed")
    return Child(PREAMBLE + SERVERS.get(server, "") + f"LOOP = {loop!r}\n" + dedent(program))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_services_in_the_lifespan_of_a_server(server: str, loop: str) -> None:
    """One SIGTERM gracefully ends both the services and the server, which had set its handler before (SV-6.5)."""
    with child(
        server,
        loop,
        """
        async def main():
            if "uvicorn" in sys.modules:  # it raises the signal again when it has ended
                signal.signal(signal.SIGTERM, lambda number, frame: print("again"))
            await serve(app)

        run(main(), LOOP)
        """,
    ) as application:
        assert application.read("serving").splitlines() == ["inside starts"]
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert [line for line in printed if line != "again"] == ["inside stops", "ended"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_a_server_as_the_work_of_a_service(server: str, loop: str) -> None:
    """One SIGTERM ends the server, which is not called again, and the other services (SV-3.4, SV-6.5)."""
    with child(
        server,
        loop,
        """
        class Serving(Service):
            async def __work__(self):
                print("served")
                await serve(bare_app)

        run(run_all(Serving(), Worker(name="other")), LOOP)
        """,
    ) as application:
        assert sorted(application.read("serving").splitlines()) == ["other starts", "served"]
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["other stops", "ended"])


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_a_server_in_the_block(server: str, loop: str) -> None:
    """A server that the block runs takes the signal, and the services stop when the block is left (SV-6.3)."""
    with child(
        server,
        loop,
        """
        async def main():
            async with run_services([Worker(name="worker")]):
                await serve(app)

        run(main(), LOOP)
        """,
    ) as application:
        assert application.read("serving").splitlines() == ["worker starts", "inside starts"]
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert sorted(printed) == ["ended", "inside stops", "worker stops"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("signals", [True, False])
def test_services_in_the_context_of_an_aiohttp_application(signals: bool, loop: str) -> None:
    """One SIGTERM ends `run_app` and the services of its clean-up context, even if they leave signals alone (SV-6.5)."""
    with child(
        "aiohttp",
        loop,
        f"""
        from aiohttp import web

        async def services(app):
            async with run_services([Worker(name="inside")], signals={signals}):
                yield

        loop = None
        if LOOP == "uvloop":
            import uvloop
            loop = uvloop.new_event_loop()
        app = web.Application()
        app.cleanup_ctx.append(services)
        web.run_app(app, port=0, host="127.0.0.1", print=lambda text: print("serving"), loop=loop)
        print("ended")
        """,
    ) as application:
        assert application.read("serving").splitlines() == ["inside starts"]
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["inside stops", "ended"])


@pytest.mark.parametrize("loop", LOOPS)
def test_an_aiohttp_server_as_the_work_of_a_service(loop: str) -> None:
    """One SIGTERM ends a server that waits for `stopping` in a service's work (SV-3.4, SV-6.5)."""
    with child(
        "aiohttp",
        loop,
        """
        from aiohttp import web

        class Serving(Service):
            async def __work__(self):
                runner = web.AppRunner(web.Application(), handle_signals=False)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                print("serving")
                await self.stopping
                await runner.cleanup()
                print("served")

        run(run_all(Serving(), Worker(name="other")), LOOP)
        """,
    ) as application:
        application.read("serving")
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert sorted(printed) in (["ended", "other stops", "served"], ["ended", "other starts", "other stops", "served"])

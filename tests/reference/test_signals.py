"""Services in child processes, and real signals."""

import signal
from pathlib import Path
from textwrap import dedent

import pytest
from processes import Child

GRACEFUL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

PREAMBLE = """
import asyncio, signal, sys, threading
from aioservicekit import Channel, Service, ServiceState, ServiceStoppedError, on_shutdown, run_services

class Worker(Service):  # its work ends by itself when it is asked to
    async def __on_start__(self):
        print(self.name, "starts")
    async def __work__(self):
        await asyncio.sleep(0.01)
    async def __on_stop__(self):
        print(self.name, "stops")

class Sleeper(Worker):  # its work never ends by itself
    async def __work__(self):
        await asyncio.Event().wait()

async def run(*services, line="ready"):
    async with run_services(services) as stopped:
        print(line)
        await stopped
    print("ended")

def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
"""


def child(program: str) -> Child:
    return Child(PREAMBLE + dedent(program))


@pytest.mark.parametrize("number", GRACEFUL)
def test_a_signal_ends_an_application_gracefully(number: signal.Signals) -> None:
    """SIGINT, SIGTERM and SIGHUP stop every service, dependents first, and the program goes on to its end (SV-6.3)."""
    with child("""
        below = Worker(name="below")
        asyncio.run(run(Worker(name="above", dependences=[below])))
    """) as application:
        assert application.read().splitlines() == ["below starts", "above starts"]
        application.send(number)
        assert application.end() == (0, ["above stops", "below stops", "ended"])


@pytest.mark.parametrize("number", GRACEFUL)
def test_a_signal_gives_up_a_start(number: signal.Signals) -> None:
    """A signal gives up a start in progress, and what waits for it does not start (SV-6.3)."""
    with child("""
        class Starting(Worker):
            async def __on_start__(self):
                print("ready")
                await asyncio.Event().wait()

        starting = Starting(name="starting")
        asyncio.run(run(Worker(name="above", dependences=[starting]), starting, line="in the block"))
    """) as application:
        application.read()
        application.send(number)
        assert application.end() == (0, ["in the block", "ended"])


def test_a_service_that_runs_already_is_stopped_with_those_that_start() -> None:
    """A signal that comes during a start stops the services that already run, including their stop hooks (SV-6.3)."""
    with child("""
        class Starting(Worker):
            async def __on_start__(self):
                print("ready")
                await asyncio.Event().wait()

        asyncio.run(run(Starting(dependences=[Worker(name="below")]), line="in the block"))
    """) as application:
        assert application.read().splitlines() == ["below starts"]
        application.send(signal.SIGTERM)
        status, (*both, last) = application.end()  # the block goes on while the service stops
        assert (status, sorted(both), last) == (0, ["below stops", "in the block"], "ended")


def test_no_start_begins_while_the_application_shuts_down() -> None:
    """After a signal, until the last service has stopped, starting raises ServiceStoppedError (SV-6.3)."""
    with child("""
        other = Worker(name="other")

        class Stopping(Worker):
            async def __on_stop__(self):
                try:
                    await other.start()
                except ServiceStoppedError:
                    print("refused", other.state.name)

        async def main():
            await run(Stopping(name="first"))
            await run(other, line="later")

        asyncio.run(main())
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        application.read("refused STOPPED")
        assert application.read("later").splitlines() == ["ended", "other starts"]
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["other stops", "ended"])


@pytest.mark.parametrize("number", GRACEFUL)
def test_a_second_signal_ends_the_grace(number: signal.Signals) -> None:
    """A second signal cancels work that never ends and for which the first one waits without limit (SV-6.3)."""
    with child("""
        on_shutdown().add_listener(lambda number: print("got", number.name))
        asyncio.run(run(Sleeper(name="above", grace=None, dependences=[Sleeper(name="below", grace=None)])))
    """) as application:
        application.read()
        application.send(number)
        assert application.read("got") == ""
        application.send(signal.SIGINT)
        assert application.read("got SIGINT") == ""
        assert application.end() == (0, ["above stops", "below stops", "ended"])


STUCK = """
    class Stuck(Worker):
        async def __on_stop__(self):
            print("stops")
            await asyncio.Event().wait()

    on_shutdown().add_listener(lambda number: print("got", number.name))
    asyncio.run(run(Stuck()))
"""


@pytest.mark.parametrize("number", GRACEFUL)
def test_a_third_signal_kills(number: signal.Signals) -> None:
    """A third signal has its default effect: it kills the process, even in a stop hook that never ends (SV-6.3)."""
    with child(STUCK) as application:
        application.read()
        application.send(number)
        application.read("stops")
        application.send(number)
        application.read("got")
        application.send(number)
        status, printed = application.end()
    assert status == -number
    assert printed[-1:] == (["KeyboardInterrupt"] if number == signal.SIGINT else [])


def test_a_third_signal_of_another_kind_kills() -> None:
    """The third signal has its default effect, whichever signals the first two were (SV-6.3)."""
    with child(STUCK) as application:
        application.read()
        for number, shown in (signal.SIGHUP, "stops"), (signal.SIGINT, "got SIGINT"):
            application.send(number)
            application.read(shown)
        application.send(signal.SIGTERM)
        assert application.end() == (-signal.SIGTERM, [])


def test_the_handlers_of_before_are_back_when_the_last_service_has_stopped() -> None:
    """Handlers are replaced before the first hook, and restored after the last service, not after the first (SV-6.3)."""
    with child("""
        outside = handlers()

        async def main():
            before = handlers()

            class Looking(Service):
                def __on_start__(self):
                    assert not set(handlers()) & set(before)
                async def __work__(self):
                    await asyncio.sleep(0.01)
                def __on_stop__(self):
                    assert not set(handlers()) & set(before)

            one, other = Looking(), Looking()
            for _ in range(2):
                async with run_services([one, other]):
                    await one.stop()
                    assert not set(handlers()) & set(before)
                assert one.failure is other.failure is None
                assert handlers() == before

        asyncio.run(main())
        assert handlers() == outside
    """) as application:
        assert application.end() == (0, [])


def test_the_handlers_of_before_are_back_after_a_signal() -> None:
    """Handlers are restored after one signal, and after two, as after a stop without any (SV-6.3)."""
    with child("""
        async def main():
            before = handlers()
            for number in signal.SIGTERM, signal.SIGINT:
                on_shutdown().add_listener(lambda number: print("got", number.name))
                await run(Sleeper(grace=None))
                assert handlers() == before

        outside = handlers()
        asyncio.run(main())
        assert handlers() == outside
    """) as application:
        for number in signal.SIGTERM, signal.SIGINT:
            application.read()
            application.send(number)
            application.read("got")
            application.send(number)
            application.read("ended")
        assert application.end() == (0, [])


def test_the_handlers_of_before_are_back_after_a_start_that_fails() -> None:
    """A start that fails half-way leaves the previous handlers in place (SV-6.3)."""
    with child("""
        class Failing(Worker):
            async def __on_start__(self):
                await asyncio.sleep(0.01)
                raise LookupError

        async def main():
            before = handlers()
            try:
                await run(Worker(name="other"), Failing(dependences=[Worker(name="below")]))
            except LookupError:
                print("failed")
            assert handlers() == before

        outside = handlers()
        asyncio.run(main())
        assert handlers() == outside
    """) as application:
        status, printed = application.end()
    assert status == 0
    assert sorted(printed) == ["below starts", "below stops", "failed", "other starts", "other stops"]


def test_handlers_of_the_program_are_put_back() -> None:
    """Handlers that the program had set are called too while services run, and restored afterwards (SV-6.3, SV-6.5)."""
    with child("""
        def mine(number, frame):
            print("mine", number)

        signal.signal(signal.SIGINT, mine)
        signal.signal(signal.SIGTERM, mine)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        asyncio.run(run(Worker(name="worker")))
        assert handlers() == [mine, mine, signal.SIG_IGN]
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["mine 15", "worker stops", "ended", "mine 2", "mine 15"])


def test_handlers_that_the_program_sets_meanwhile_stay() -> None:
    """A handler that the program sets while services run belongs to the program, and stays (SV-6.3)."""
    with child("""
        def mine(number, frame):
            print("mine", number)

        async def main():
            async with run_services([Worker()]):
                signal.signal(signal.SIGTERM, mine)

        before = handlers()
        asyncio.run(main())
        assert handlers() == [before[0], mine, before[2]]
    """) as application:
        assert application.end() == (0, ["Worker starts", "Worker stops"])


@pytest.mark.parametrize("number", GRACEFUL)
def test_a_second_run_is_like_the_first(number: signal.Signals) -> None:
    """A second `asyncio.run` in a process, even of the same service, ends on a signal like the first (SV-6.3)."""
    with child("""
        worker = Worker(name="worker")
        for _ in range(2):
            asyncio.run(run(worker))
    """) as application:
        for _ in range(2):
            assert application.read().splitlines() == ["worker starts"]
            application.send(number)
            assert application.read("ended").splitlines() == ["worker stops"]
        assert application.end() == (0, [])


def test_a_run_after_one_that_stopped_nothing_is_like_the_first() -> None:
    """Services that still ran when their loop closed leave neither handlers nor a count of signals (SV-6.3)."""
    with child("""
        outside = handlers()
        asyncio.run(Sleeper(name="forgotten", grace=None).start())
        assert handlers()[1:] == outside[1:]
        asyncio.run(run(Worker(name="worker")))
        assert handlers()[1:] == outside[1:]
    """) as application:
        assert application.read().splitlines() == ["forgotten starts", "forgotten stops", "worker starts"]
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["worker stops", "ended"])


def test_a_loop_that_was_left_behind_takes_no_signals() -> None:
    """A loop that was closed without asyncio.run while a service ran neither takes signals nor swallows them (SV-6.3)."""
    with child("""
        import warnings
        warnings.simplefilter("ignore")
        outside = handlers()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(Worker(name="forgotten").start())
        loop.set_exception_handler(lambda loop, context: None)
        loop.close()
        asyncio.run(run(Worker(name="worker")))
        assert handlers() == outside
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert printed[:2] == ["worker stops", "ended"]


def test_a_loop_that_was_left_behind_keeps_no_handlers_from_others() -> None:
    """If the program sets a handler after the loop has closed, services of the next loop heed signals all the same (SV-6.5)."""
    with child("""
        import warnings
        warnings.simplefilter("ignore")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(Worker(name="forgotten").start())
        loop.set_exception_handler(lambda loop, context: None)
        loop.close()
        signal.signal(signal.SIGTERM, lambda number, frame: print("the program's own", flush=True))
        asyncio.run(run(Worker(name="worker")))
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert sorted(printed[:3]) == ["ended", "the program's own", "worker stops"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_after_the_services_a_signal_has_its_default_effect(number: signal.Signals) -> None:
    """After the last service has stopped, a signal kills the process, as before the first one (SV-6.3)."""
    with child("""
        async def main():
            async with run_services([Worker(name="worker")]):
                pass
            print("ready")
            await asyncio.sleep(60)

        asyncio.run(main())
    """) as application:
        application.read()
        application.send(number)
        assert application.end() == (-number, [])


def test_after_the_services_sigint_cancels_the_main_task() -> None:
    """After the last service has stopped, SIGINT is asyncio's again, which cancels the main task (SV-6.3)."""
    with child("""
        async def main():
            async with run_services([Worker(name="worker")]):
                pass
            print("ready")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                print("cancelled")
                raise

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """) as application:
        application.read()
        application.send(signal.SIGINT)
        assert application.end() == (0, ["cancelled", "interrupted"])


@pytest.mark.parametrize("number", GRACEFUL)
def test_work_that_never_suspends_starves_nobody(number: signal.Signals) -> None:
    """Between two calls of work that has no `await`, other tasks run, and signals arrive (SV-3.3)."""
    with child("""
        class Busy(Worker):
            async def __work__(self):
                pass

        async def tick():
            for _ in range(100):
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            print("ready")

        async def main():
            async with run_services([Busy(name="busy", grace=None)]) as stopped:
                await asyncio.gather(stopped, tick())

        asyncio.run(main())
    """) as application:
        application.read()
        application.send(number)
        status, printed = application.end()
    assert (status, printed[-1]) == (0, "busy stops")  # earlier, the log may name the work that never waits (SV-3.4)


def test_signals_that_do_not_exist_are_left_out() -> None:
    """Where there is no SIGHUP, as on Windows, services start, and stop on the existing signals (SV-6.3)."""
    with Child(
        "import signal\ndel signal.SIGHUP\n" + PREAMBLE + 'asyncio.run(run(Worker(name="worker")))'
    ) as application:
        assert application.read().splitlines() == ["worker starts"]
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["worker stops", "ended"])


def test_services_of_another_thread_install_no_handlers() -> None:
    """A service starts and stops on a loop in another thread, and leaves the process's handlers alone (SV-6.3)."""
    with child("""
        before = handlers()

        async def main():
            async with run_services([Worker(name="worker")]):
                assert handlers() == before
                print("ready")

        for _ in range(2):
            thread = threading.Thread(target=asyncio.run, args=[main()])
            thread.start()
            thread.join()
        assert handlers() == before
    """) as application:
        assert application.end() == (0, 2 * ["worker starts", "ready", "worker stops"])


def test_services_of_another_thread_alone_take_no_signals() -> None:
    """A signal kills a process that runs services only in another thread (SV-6.3)."""
    with child("""
        thread = threading.Thread(target=asyncio.run, args=[run(Worker(name="worker"))], daemon=True)
        thread.start()
        thread.join()
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert application.end() == (-signal.SIGTERM, [])


def test_a_signal_stops_the_services_of_all_threads() -> None:
    """With services in the main thread too, a signal stops those of every thread, each on its own loop (SV-6.3)."""
    with child("""
        class Elsewhere(Worker):
            async def __on_stop__(self):
                assert threading.current_thread() is thread
                stopped_elsewhere.append(self)

        stopped_elsewhere = []  # not printed: lines of two threads get mixed up
        started = threading.Event()

        async def elsewhere():
            async with run_services([Elsewhere()]) as stopped:
                started.set()
                await stopped

        thread = threading.Thread(target=asyncio.run, args=[elsewhere()])
        thread.start()
        started.wait()
        asyncio.run(run(Worker(name="worker")))
        thread.join()
        print(len(stopped_elsewhere), "elsewhere")
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["worker stops", "ended", "1 elsewhere"])


def test_listeners_get_the_signal() -> None:
    """Functions and coroutine functions that listen to on_shutdown() get each signal while services run (SV-6.3)."""
    with child("""
        def hear(number):
            print("heard", repr(number))

        async def hear_later(number):
            await asyncio.sleep(0)
            print("heard later", repr(number))

        on_shutdown().add_listener(hear)
        on_shutdown().add_listener(hear_later)
        asyncio.run(run(Sleeper(grace=None, name="sleeper")))
    """) as application:
        application.read()
        heard = ""
        for number in signal.SIGHUP, signal.SIGTERM:
            application.send(number)
            heard += application.read(f"heard {number!r}")
        status, printed = application.end()
    assert status == 0
    later = [f"heard later {number!r}" for number in (signal.SIGHUP, signal.SIGTERM)]
    assert sorted(heard.splitlines() + printed) == ["ended", *later, "sleeper stops"]


def test_a_listener_that_raises_disturbs_nobody() -> None:
    """A listener of on_shutdown() that raises does not keep the services from stopping (SV-6.3)."""
    with child("""
        def fail(number):
            raise LookupError

        on_shutdown().add_listener(fail)
        asyncio.run(run(Worker(name="worker")))
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert printed[-3:] == ["LookupError", "worker stops", "ended"]


def test_to_emit_the_event_stops_every_service() -> None:
    """Emitting on_shutdown() stops the services without a signal; later ones start, and stop on a signal (SV-6.3)."""
    with child("""
        async def main():
            async with run_services([Worker(name="first")]) as stopped:
                await on_shutdown().emit(signal.SIGTERM)
                await stopped
            print("stopped")
            await run(Worker(name="second"))

        asyncio.run(main())
    """) as application:
        assert application.read().splitlines() == ["first starts", "first stops", "stopped", "second starts"]
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["second stops", "ended"])


@pytest.mark.parametrize("number", GRACEFUL)
def test_uvloop(number: signal.Signals) -> None:
    """On uvloop's loop, too, a signal is graceful, a second one ends the grace, and handlers are restored (SV-6.3)."""
    pytest.importorskip("uvloop")
    with child("""
        import uvloop

        outside = handlers()
        on_shutdown().add_listener(lambda number: print("got", number.name))
        for service in Worker(name="worker"), Sleeper(name="sleeper", grace=None):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run(service))
            assert handlers() == outside
    """) as application:
        application.read()
        application.send(number)
        assert application.read("ended").splitlines() == [f"got {number.name}", "worker stops"]
        application.read()
        application.send(number)
        assert application.read("got") == ""
        application.send(number)
        assert application.end() == (0, [f"got {number.name}", "sleeper stops", "ended"])


def test_a_consumer_of_a_channel_that_goes_on_ends_after_its_grace() -> None:
    """A consumer that waits for a message which may still come has its grace, and is cancelled then (SV-4.3)."""
    with child("""
        channel = Channel(buffer_size=1)

        class Consumer(Service):
            async def __on_start__(self):
                self.subscriber = await channel.subscribe()
            async def __work__(self):
                async for message in self.subscriber:
                    print(message)
            async def __on_stop__(self):
                await self.subscriber.close()
                print("stops")

        times = {}

        async def main():
            consumer = Consumer(grace=0.5)
            consumer.on_state_change.add_listener(
                lambda state: times.setdefault(state, asyncio.get_running_loop().time())
            )
            async with await channel.connect() as publisher:
                async with run_services([consumer]) as stopped:
                    await publisher.send("ready")
                    await stopped

        asyncio.run(main())
        assert 0.4 < times[ServiceState.STOPPED] - times[ServiceState.STOPPING] < 5
    """) as application:
        application.read()
        application.send(signal.SIGINT)
        assert application.end() == (0, ["stops"])


def test_what_a_producer_sends_last_is_received() -> None:
    """A signal stops a producer before its consumer, which still gets what the last unit of work sends (SV-4.2)."""
    with child("""
        channel = Channel(buffer_size=1)

        class Consumer(Service):
            async def __on_start__(self):
                self.subscriber = await channel.subscribe()
            async def __work__(self):
                async for message in self.subscriber:
                    print(message)

        class Producer(Service):
            async def __on_start__(self):
                self.publisher = await channel.connect()
            async def __work__(self):
                await self.publisher.send("ready")
                while self.run:
                    await asyncio.sleep(0.01)
                for message in "one", "two", "three":
                    await self.publisher.send(message)
            async def __on_stop__(self):
                await self.publisher.close()

        asyncio.run(run(Producer(dependences=[Consumer()], grace=None), line="in the block"))
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert status == 0
    assert [line for line in printed if line != "in the block"] == ["one", "two", "three", "ended"]


def test_main_waits_for_what_it_has_started() -> None:
    """Under `@main`, a signal ends the services, and the process waits for the remaining tasks (SV-6.4)."""
    with child("""
        from aioservicekit import main

        async def late(worker):
            await worker.wait()
            await asyncio.sleep(0.05)
            print("late")

        @main
        async def application():
            worker = Worker(name="worker")
            async with run_services([worker]) as stopped:
                task = asyncio.create_task(late(worker))
                print("ready")
                await stopped
            return "result"

        print(asyncio.run(application()))
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["worker stops", "late", "result"])


def test_a_signal_while_handlers_are_put_back_has_its_default_effect() -> None:
    """A signal that comes just when the last service has stopped kills the process, and nothing hangs (SV-6.3)."""
    with child("""
        import os

        set_handler = signal.signal
        watchdog = threading.Timer(5, os._exit, [99])
        watchdog.daemon = True
        watchdog.start()

        async def main():
            async with run_services([Worker(name="worker")]):
                def interrupted(number, handler):
                    signal.signal = set_handler
                    os.kill(os.getpid(), signal.SIGTERM)
                    return set_handler(number, handler)

                signal.signal = interrupted

        asyncio.run(main())
    """) as application:
        assert application.end() == (-signal.SIGTERM, ["worker starts", "worker stops"])


def test_a_handler_that_outlives_the_services_has_no_effect_of_its_own() -> None:
    """A program that saves the handlers while services run, and restores them later, can still be killed (SV-6.3)."""
    with child("""
        async def main():
            async with run_services([Worker(name="worker")]):
                saved = signal.signal(signal.SIGTERM, lambda number, frame: None)
            signal.signal(signal.SIGTERM, saved)
            print("ready")
            await asyncio.sleep(5)

        asyncio.run(main())
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert application.end() == (-signal.SIGTERM, [])


def test_after_a_run_that_stopped_nothing_sigint_is_as_before() -> None:
    """Services that asyncio.run itself had to cancel leave no handler of that run behind for SIGINT (SV-6.3)."""
    with child("""
        before = handlers()
        asyncio.run(Sleeper(name="forgotten").start())
        assert handlers() == before
    """) as application:
        assert application.end() == (0, ["forgotten starts", "forgotten stops"])


def test_a_forked_process_can_be_terminated() -> None:
    """A process forked while services run does not take its signals for a shutdown (SV-6.3)."""
    with child("""
        import multiprocessing, time

        async def main():
            async with run_services([Worker()]):
                fork = multiprocessing.get_context("fork")
                forked_has_begun = fork.Event()
                forked = fork.Process(target=lambda: (forked_has_begun.set(), time.sleep(20)))
                forked.start()
                await asyncio.to_thread(forked_has_begun.wait, 20)
                forked.terminate()
                await asyncio.to_thread(forked.join, 2)
                print("exit code", forked.exitcode)
                forked.kill()

        asyncio.run(main())
    """) as application:
        assert application.end() == (0, ["Worker starts", "exit code -15", "Worker stops"])


@pytest.mark.parametrize("number", GRACEFUL)
def test_a_block_that_waits_for_something_else_is_told(number: signal.Signals) -> None:
    """When its services have stopped, the block is cancelled; then the signal has its usual effect (SV-6.3)."""
    with child("""
        async def main():
            try:
                async with run_services([Worker(name="worker")]):
                    print("ready")
                    try:
                        await asyncio.Event().wait()
                    finally:
                        print("block ends")
            finally:
                print("main ends")

        asyncio.run(main())
    """) as application:
        application.read()
        application.send(number)
        status, printed = application.end()
    assert status == -number
    assert [line for line in printed if line.endswith(("ends", "stops"))] == ["worker stops", "block ends", "main ends"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_handlers_of_the_loop_go_on_working(loop: str) -> None:
    """Handlers of `loop.add_signal_handler`, set before the services or by their work, get the signal too (SV-6.5)."""
    pytest.importorskip(loop)
    with child(f"""
        import {loop}

        def add(number, text):
            asyncio.get_running_loop().add_signal_handler(number, print, text)

        class Adding(Sleeper):
            async def __work__(self):
                await asyncio.sleep(0)
                add(signal.SIGTERM, "SIGTERM")
                asyncio.get_running_loop().call_soon(print, "ready")
                await super().__work__()

        async def main():
            add(signal.SIGHUP, "SIGHUP")
            await run(Adding(grace=0, name="adding"), line="in the block")
            await run(Sleeper(grace=0, name="sleeper"))

        with asyncio.Runner(loop_factory={loop}.new_event_loop) as runner:
            runner.run(main())
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert {"SIGTERM", "adding stops"} <= set(application.read("ended").splitlines())
        application.read()
        application.send(signal.SIGHUP)
        status, printed = application.end()
    assert status == 0
    assert sorted(printed) == ["SIGHUP", "ended", "sleeper stops"]


def test_an_ignored_signal_stays_ignored() -> None:
    """A signal that nohup or the program ignores stops nothing (SV-6.5)."""
    with child("""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        asyncio.run(run(Worker(name="worker")))
    """) as application:
        application.read()
        application.send(signal.SIGHUP)
        application.send(signal.SIGTERM)
        assert application.end() == (0, ["worker stops", "ended"])


@pytest.mark.parametrize("way", ["sys.exit(5)", "raise KeyboardInterrupt", "raise LookupError('oh')"])
def test_a_handler_of_the_program_that_raises(way: str) -> None:
    """An exit waits for the graceful stop, and then sets the status; another exception is logged (SV-1.3, SV-6.5)."""
    with child(f"""
        def handle(number, frame):
            {way}

        class Slow(Worker):
            async def __on_stop__(self):
                await asyncio.sleep(0.05)
                print("slow stops")

        signal.signal(signal.SIGTERM, handle)
        asyncio.run(run(Slow(name="slow")))
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        status, printed = application.end()
    assert "slow stops" in printed
    if "sys.exit" in way:
        assert (status, printed) == (5, ["slow stops"])
    elif "Keyboard" in way:
        assert status == -signal.SIGINT
    else:
        assert status == 0
        assert "LookupError: oh" in printed


def test_signals_are_left_alone_where_that_is_asked_for() -> None:
    """With `signals=False`, a signal has its default effect, and does not concern the services (SV-6.5)."""
    with child("""
        async def main():
            async with run_services([Worker(name="worker")], signals=False) as stopped:
                print("ready")
                await stopped

        asyncio.run(main())
    """) as application:
        application.read()
        application.send(signal.SIGTERM)
        assert application.end() == (-signal.SIGTERM, [])


@pytest.mark.parametrize("waits", ["asyncio.Event().wait()", "stopped"])
def test_ctrl_c_ends_a_test_runner(waits: str, tmp_path: Path) -> None:
    """In a test whose block waits for something else, SIGINT ends pytest, as without services (SV-6.5)."""
    test = tmp_path / "test_it.py"
    test.write_text(
        PREAMBLE
        + dedent(f"""
        def test_first():
            async def main():
                async with run_services([Worker(name="worker")]) as stopped:
                    print("ready")
                    await {waits}
            asyncio.run(main())

        def test_second():
            print("the second test runs")
        """)
    )
    with Child(
        f"import pytest, sys; sys.exit(pytest.main(['-s', '-q', '-p', 'no:cacheprovider', {str(test)!r}]))"
    ) as runner:
        runner.read()
        runner.send(signal.SIGINT)
        status, printed = runner.end()
    interrupted = "the second test runs" not in "\n".join(printed)
    assert "worker stops" in printed
    assert (status, interrupted) == ((0, False) if waits == "stopped" else (2, True))


def test_run_ends_on_a_signal_and_fails_with_status_1() -> None:
    """`aioservicekit.run` stops gracefully on a signal; when a service fails, the process has status 1 (SV-6.1)."""
    for fails in (False, True):
        with child(f"""
            import aioservicekit

            class Failing(Worker):
                async def __work__(self):
                    await asyncio.sleep(0.01)
                    if {fails}:
                        raise LookupError("oh")
                    await self.stopping

            service = Failing(name="failing", on_failure="stop")
            service.on_state_change.add_listener(lambda state: state == ServiceState.RUNNING and print("ready"))
            aioservicekit.run(service)
            print("ended")
        """) as application:
            application.read()
            if not fails:
                application.send(signal.SIGTERM)
            status, printed = application.end()
        assert "failing stops" in printed
        assert (status, printed[-1]) == ((1, "LookupError: oh") if fails else (0, "ended"))

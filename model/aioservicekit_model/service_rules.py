"""The rules of services as data: a transcription of `specs/service.md`, word for word, as `rules` is of the channel's."""

from .rules import Level, Rule

__all__ = ["RULES", "SECTIONS"]

SECTIONS: dict[str, str] = {
    "SV-1": "state",
    "SV-2": "starting",
    "SV-3": "working",
    "SV-4": "stopping",
    "SV-5": "the rest of a service",
    "SV-6": "running an application",
}

_RULES = (
    Rule(
        "SV-1.1",
        "A new service",
        Level.MUST,
        "A service MUST be in one of the states `STARTING`, `RUNNING`, `STOPPING` and `STOPPED`; a new one MUST "
        "be `STOPPED`, building it MUST NOT need a running event loop, and `STOPING` and `STOPED` MUST name the "
        "same members as `STOPPING` and `STOPPED`.",
        "Services are built at import or in `main`, and code that spells the states the older way goes on working.",
        "An event, task or lock that is made in the constructor; aliases that are members of their own.",
    ),
    Rule(
        "SV-1.2",
        "Transitions",
        Level.MUST,
        "The state MUST change only from `STOPPED` to `STARTING`, from `STARTING` to `RUNNING` or to `STOPPING`, "
        "from `RUNNING` to `STOPPING`, and from `STOPPING` to `STOPPED`; each listener of `on_state_change` MUST "
        "be called once for each change, in the order of the changes, and MUST NOT delay them, also if it waits "
        "for the service.",
        "Whoever follows a service by its listener must see what happened, and must not be able to hold it up.",
        "The state is set before and after a listener is awaited; a change that a listener brings about is told "
        "before the one that it heard of; listeners in a set.",
    ),
    Rule(
        "SV-1.3",
        "STOPPED is reached",
        Level.MUST,
        "From every state, whatever hooks, work and listeners raise or ignore, a `CancelledError` that nobody has "
        "asked for and what is no `Exception` included, and whoever is cancelled, a service that was asked to "
        "stop MUST become `STOPPED`, unless a stop hook never ends; nothing that they raise MAY be dropped in "
        "silence, and a `SystemExit` or `KeyboardInterrupt` MUST end the process with its own status once all "
        "services have stopped gracefully; `failure` MUST be the exception that took the service down, or None if "
        "none did.",
        "An application that can't come to its end has to be killed, and loses what a graceful stop would have saved.",
        "A transition after an `await` with no `finally`; an `except Exception` around users' code; an exception "
        "of a hook that leaves the state `STARTING` or `STOPPING`; a `CancelledError` that is taken for one's "
        "own; tasks of a closing loop that are cancelled half-way through a stop.",
    ),
    Rule(
        "SV-2.1",
        "Dependencies first",
        Level.MUST,
        "`start()` MUST first start the dependencies that do not run, side by side, MUST call `__on_start__` only "
        "once all of them are `RUNNING`, and MUST return when the service is `RUNNING`, which it becomes when the "
        "hook has completed; hooks MAY be plain functions or coroutine functions.",
        "A hook may use what it depends on.",
        "Dependencies that are started one after the other; `RUNNING` that is set before the hook has completed.",
    ),
    Rule(
        "SV-2.2",
        "Shared starts",
        Level.MUST,
        "`start()` MUST return at once on a `RUNNING` service, share the start that is under way on a `STARTING` "
        "one, and start a `STOPPING` one after its stop; a cancelled caller MUST leave the start alone as long as "
        "another caller, a restart or a dependent that is starting wants it, and otherwise MUST give it up.",
        "Several parts of an application may want the same service, and none of them knows of the others.",
        "A second `start()` that returns while the service is `STARTING`; a start that lives in its first "
        "caller's task; a start that nobody waits for and that goes on.",
    ),
    Rule(
        "SV-2.3",
        "Starts that fail",
        Level.MUST,
        "A start that fails, whose hook takes longer than `start_timeout`, or that is given up MUST leave the "
        "service `STOPPED` with nothing of it running; `start()` MUST then raise the original exception of the "
        "hook or of the dependency, or `TimeoutError`, or `ServiceStoppedError` if the start was given up; "
        "`__on_stop__` MUST be called exactly once for each `__on_start__` that has completed, and never "
        "otherwise.",
        "Whoever starts a service must learn why it does not run, and may try again; clean-up is for what was set up.",
        "A group of exceptions in place of the one that is in it; a hook that was cancelled and completed all the "
        "same, with no `__on_stop__`; the stop hook after a start hook that has failed.",
    ),
    Rule(
        "SV-2.4",
        "Dependencies are fixed",
        Level.MUST,
        "Dependencies MUST be given to the constructor and stay as they are; anything but a service among them "
        "MUST raise `TypeError` there, and so MUST `dependences` and `dependencies` together.",
        "What is fixed when it is built can't be a cycle, and a wrong argument is noticed where it was written.",
        "A check at the first start; a mutable default.",
    ),
    Rule(
        "SV-3.1",
        "Work goes on",
        Level.MUST,
        "While a service is `RUNNING`, and while it is `STOPPING` and its dependents use it, `__work__` MUST be "
        "called again each time that it ends, never twice at once, and never again afterwards.",
        "A service works until it is stopped; each call is one piece of work.",
        "Work that is not called again after its first exception; one call more after the stop.",
    ),
    Rule(
        "SV-3.2",
        "Work that fails",
        Level.MUST,
        "An exception of `__work__`, whatever its class, MUST go to the listeners of `on_error`, or to the log if "
        'there are none; then `__work__` MUST, with `on_failure="retry"`, be called again after a pause of 0.1 s '
        'that doubles with each failure in a row up to 30 s, and, with `on_failure="stop"`, not be called again, '
        'and the exception MUST become the `failure` that stops the service; with `on_failure="restart"` the '
        "service MUST then, after such a pause, be started again with those dependents that this took down, at "
        "most `max_restarts` times in a row, unless it is stopped meanwhile.",
        "No error is lost, and work that fails at once neither floods the log nor the machine.",
        "A retry with no pause; a pause that no success resets; a stop that waits for the pause to end; a signal "
        "that comes during the pause.",
    ),
    Rule(
        "SV-3.3",
        "Work that never suspends",
        Level.MUST,
        "Between two calls of `__work__` other tasks and signal handlers MUST get their turn, also if `__work__` "
        "never suspends.",
        "A service that only computes must not take the whole application.",
        "A loop around `await self.__work__()` with nothing else to wait for.",
    ),
    Rule(
        "SV-3.4",
        "Work that is to end",
        Level.MUST,
        "After a stop was asked for, by a call, a signal or another thread, no new call of `__work__` MAY begin "
        "unless dependents that still stop use the service; `stopping` MUST be set from the instant at which the "
        "work is asked to end until the next start; work that has ended 1000 times in a row, for half a second at "
        "least, and has waited for nothing MUST be named in the log, once in a life, with the way to say that it "
        "has finished: `self.stop()`.",
        "A server that a signal has ended must not be served again; work that waits hears of the stop before its "
        "grace has run out; work that has nothing left to do must not burn a core in silence.",
        "A stop that is only looked for when its message has arrived; an event that is set while dependents still "
        "use the service; a pause that slows down who takes one buffered message a call.",
    ),
    Rule(
        "SV-4.1",
        "Asking for the stop",
        Level.MUST,
        "`stop()` MUST begin the stop before it returns, or, called in another thread, as soon as the event loop "
        "of the service hears of it; what it returns MAY be awaited, in any event loop and any number of times, "
        "completes when the service is `STOPPED`, and MUST NOT raise.",
        "A signal handler and a thread can't await, and whoever can wants to know the end.",
        "`stop()` as a coroutine function, which does nothing until it is awaited; a future that is resolved from "
        "another thread.",
    ),
    Rule(
        "SV-4.2",
        "Dependents first",
        Level.MUST,
        "A service that stops MUST ask its dependents to stop, and those of them whose start hook has begun MUST "
        "be `STOPPED` before its work is asked to end; it MUST NOT wait for dependents that still wait for their "
        "dependencies, which give their starts up.",
        "A producer depends on its consumers: it closes its publisher, and they drain what was sent, before they "
        "stop. To wait for who waits for oneself would be a deadlock.",
        "All services are asked to end at the same time; the clean-up of a dependency before its dependents'; a "
        "wait for whoever is not `STOPPED`.",
    ),
    Rule(
        "SV-4.3",
        "Grace",
        Level.MUST,
        "Then the current call of `__work__` MUST be left to end by itself for `grace` seconds (None: without "
        "limit, 0: not at all), and be cancelled after that; then the tasks of the service MUST be cancelled, "
        "then `__on_stop__` called, if it is due; what does not end within `grace` seconds of its cancellation "
        "MUST be named in the log and left behind; work that waits, itself or in tasks that it has made, for its "
        "own service to stop, or for one that waits for it, MAY be cancelled at once.",
        "Most work ends soon if it is left to; some never does.",
        "Work that is cancelled at once; a grace of 0 taken for none given; one task that refuses to be cancelled "
        "and holds up the application; work that is recognised by its task alone.",
    ),
    Rule(
        "SV-4.4",
        "Stop hooks that fail",
        Level.MUST,
        "An exception of `__on_stop__` MUST go where those of `__work__` go; a hook that takes longer than "
        "`stop_timeout` MUST be cancelled and named in the log; the service MUST become `STOPPED` all the same.",
        "Clean-up that fails is no reason to hang.",
        "An `await` of the hook with nothing around it.",
    ),
    Rule(
        "SV-4.5",
        "Dependencies that stop",
        Level.MUST,
        "A service whose dependency begins to stop, for whatever reason, MUST be asked to stop at that instant, "
        "with the `failure` of the dependency, if it has one, as its own.",
        "Nothing may use what is being torn down.",
        "Dependents that hear of the stop through a listener that was removed, or a task later; a dependency that "
        "fails while a dependent is starting.",
    ),
    Rule(
        "SV-4.6",
        "Stopping at any time",
        Level.MUST,
        "`stop()` on a `STARTING` service MUST give its start up, on a `STOPPING` one share the stop that is "
        "under way, and on a `STOPPED` one do nothing.",
        "Ctrl+C does not wait until everything is up.",
        "A guard that asks for `RUNNING`; a stop that is forgotten while the start hook runs.",
    ),
    Rule(
        "SV-5.1",
        "Tasks",
        Level.MUST,
        "`create_task(coro, *, name=None, context=None)` MUST run the coroutine in a task that belongs to the "
        "service: its exception MUST go where those of `__work__` go, and it MUST be gone when the service is "
        "`STOPPED`, where `create_task` MUST raise `RuntimeError`.",
        "What a service has started ends with it.",
        "Tasks that nobody refers to; tasks that the stop hook makes.",
    ),
    Rule(
        "SV-5.2",
        "Waiting and restarting",
        Level.MUST,
        "`wait()` MUST return when the service is `STOPPED`, and at once in its own hooks; `restart()` MUST stop "
        "the service, start it and then start again those dependents that this stop took down, also when its "
        "caller is cancelled meanwhile or the service was `STOPPING` already; `name` MUST be the class's name if "
        "none was given.",
        "Work may restart its own service, and must not cut the restart short by ending for it.",
        "A `wait()` that hangs in a hook; a restart in the caller's task; a restart that only looks for `RUNNING`.",
    ),
    Rule(
        "SV-5.3",
        "Services from functions",
        Level.MUST,
        "`@service(name=..., dependences=...)` on a coroutine function MUST give a factory that takes the "
        "function's arguments and makes a service whose work is the function, called with these arguments each "
        "time.",
        "Ten lines of work need no class.",
        "A name that is always the factory's; arguments that are consumed by the first call.",
    ),
    Rule(
        "SV-6.1",
        "run_services",
        Level.MUST,
        "`run_services` MUST start the given services, dependencies first and independent ones side by side, and "
        "give the block a future that completes when all of them have stopped and no restart brings one up again; "
        "it MUST then raise the `failure` of the one that failed, or an `ExceptionGroup` of several different "
        "ones; it MAY be awaited any number of times, and cancelling who awaits it MUST stop nothing; anything "
        "but services MUST raise `TypeError` at the call.",
        "An application waits at one place, and hears there what went wrong.",
        "Services that are started one after the other; a waiter that can be awaited once; a waiter that ends "
        "between the two halves of a restart.",
    ),
    Rule(
        "SV-6.2",
        "Leaving the block",
        Level.MUST,
        "When the block is left, or entered in vain, all services that entering it had started MUST be stopped, "
        "unlisted dependencies included, and be `STOPPED` before it is left, also when the task is cancelled "
        "meanwhile, and none of them MAY start meanwhile; if a start fails its exception MUST be raised then.",
        "After the block nothing runs that was not running before.",
        "A `stop()` that nobody waits for; a dependency that was started implicitly and forgotten; a second "
        "cancellation that leaves services behind; a listener that starts again what has stopped.",
    ),
    Rule(
        "SV-6.3",
        "Signals",
        Level.MUST,
        "From the first service's start hook until the last service is `STOPPED`, in the main thread, SIGINT and "
        "SIGTERM, and SIGHUP and SIGBREAK where they exist, MUST stop every service gracefully, also one that is "
        "starting; no start that was asked for before the last one is `STOPPED` and the block of `run_services` "
        "has ended, or by a listener that has heard of a state meanwhile, MAY begin after the first signal, and "
        "such a `start()` MUST raise `ServiceStoppedError`; a second signal MUST end every grace, and a third one "
        "MUST have its default effect; afterwards the handlers that were there before MUST be back; a block in "
        "which nobody waits for the future MUST be cancelled a second after its services have stopped, unless a "
        "handler of the program was called, and when its task has ended the signal MUST have the effect that it "
        "has without services; `on_shutdown()` MUST give the event that the signals emit.",
        "Ctrl+C ends an application the way that it was meant to end, and for the impatient at once; and it is "
        "never eaten.",
        "Handlers that stay after the services; a second `asyncio.run` whose loop the handler does not know; "
        "names of signals that a platform lacks; a start that waits for a stop and begins after the shutdown; a "
        "block, or a test runner, that goes on for ever.",
    ),
    Rule(
        "SV-6.4",
        "main",
        Level.MUST,
        "`@main` on a coroutine function MUST give a coroutine function whose result comes after every other task "
        "of the loop has ended, and whose exception comes at once.",
        "Nothing that was begun is cut off by the end of the program.",
        "Tasks that the awaited tasks make; an exception that waits for tasks which never end.",
    ),
    Rule(
        "SV-6.5",
        "Signals of others",
        Level.MUST,
        "A handler of the program that was there before MUST be called too, with each of the first two signals; a "
        "signal that was ignored MUST stay so; handlers that work adds to the event loop MUST NOT keep signals "
        "from the services; with `signals=False` the services of a block MUST leave handlers as they are, and be "
        "stopped by no signal.",
        "A host, an ASGI server or a test runner, goes on working around the services, and they in it.",
        "A handler that is replaced and not called; SIG_IGN that is taken for a handler; "
        "`loop.add_signal_handler`, which replaces in silence; the handlers of Python and of `asyncio.run`, which "
        "would end what is to end gracefully.",
    ),
    Rule(
        "SV-6.6",
        "Failing fast, and a limit",
        Level.MUST,
        'With `run_services(..., on_failure="stop")` the first failure MUST stop all services of the block, and '
        "leaving it MUST raise that failure, whatever the block waits for, and an exception of `__work__` MUST be "
        "such a failure unless the service has an `on_failure` of its own; `timeout` seconds after its shutdown "
        "has begun all that still runs of the block MUST be cancelled at once, in the order of the stops, and be "
        "named in the log.",
        "An application of which one part has failed should fail where its supervisor sees it; a container is "
        "killed after ten seconds, whatever the sum of its graces.",
        "A limit for each service and none for their sum; a stop hook that is due and not called; a task that "
        "refuses to be cancelled.",
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in _RULES}

// An agent: it does to a channel what the conformance suite says. specs/conformance.md has the protocol.
//     aioservicekit-conformance --agent 'node agent.js'              judges channel.js
//     aioservicekit-conformance --agent 'node agent.js ./yours.js'   judges another channel with the same interface
// It reads its input synchronously: between two commands nothing runs, unless it awaits.
const { readSync, writeSync } = require("node:fs");
const { resolve } = require("node:path");

const { Channel } = require(resolve(process.argv[2] ?? `${__dirname}/channel.js`));
const HELLO = {
  ...{ protocol: 1, language: "JavaScript", rests: true, steps: true },
  without: ["CH-1.1", "CH-2.3", "CH-3.9", "CH-4.8", "CH-5.4", "CH-7.2", "CH-7.3"],
};
const END = Object.assign(new Error("the iteration has ended"), { name: "StopAsyncIteration" });

let endpoints, aborts, ended; // of the present channel

const CALLS = {
  connect: ({ on }, signal) => endpoints.channel.connect({ signal }).then((made) => void (endpoints[on] = made)),
  subscribe: ({ on, size }, signal) =>
    endpoints.channel.subscribe({ bufferSize: size ?? undefined, signal }).then((made) => void (endpoints[on] = made)),
  send: ({ on, message }, signal) => endpoints[on].send(message, { signal }),
  read: ({ on }, signal) => endpoints[on].read({ signal }),
  next: ({ on }, signal) =>
    endpoints[on].messages({ signal }).next().then(({ value, done }) => (done ? Promise.reject(END) : value)),
  close: ({ on }) => endpoints[on].close(),
};

function begin(command) {
  const op = command.op;
  const list = ended; // by the time it ends, there may be another channel
  const { signal } = (aborts[op] = new AbortController());
  const name = (error) => (signal.aborted && error === signal.reason ? "CancelledError" : error.name);
  CALLS[command.do](command, signal).then(
    (value) => list.push({ op, returned: value ?? null }),
    (error) => list.push({ op, raised: name(error), text: error.message }),
  );
}

function* lines() {
  const chunk = Buffer.alloc(65536);
  for (let text = "", size; (size = readSync(0, chunk)) > 0; ) {
    const parts = (text + chunk.toString("utf8", 0, size)).split("\n");
    text = parts.pop();
    yield* parts;
  }
}

async function rest() {
  do await new Promise(setImmediate);
  while (process.getActiveResourcesInfo().some((each) => each === "Timeout" || each === "Immediate"));
}

async function main() {
  for (const line of lines()) {
    const command = JSON.parse(line);
    let answer = {};
    if (command.do === "hello") answer = HELLO;
    else if (command.do === "new") [endpoints, aborts, ended] = [{ channel: new Channel(command.size) }, {}, []];
    else if (command.do === "state") answer = { state: endpoints.channel.state };
    else if (command.do === "cancel") aborts[command.op].abort();
    else if (command.do === "step") await null; // what is in line to run, runs
    else if (command.do === "rest") await rest();
    else begin(command);
    writeSync(1, `${JSON.stringify({ ...answer, ended: ended?.splice(0) })}\n`);
  }
}

main();

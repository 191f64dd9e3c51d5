// An agent: it does to a channel what the conformance suite says. specs/conformance.md has the protocol.
//     aioservicekit-conformance --agent 'node agent.mjs'              judges channel.js
//     aioservicekit-conformance --agent 'node agent.mjs ./yours.js'   judges another channel with the same interface
// It reads its input synchronously: between two commands nothing runs, unless it awaits.
import { readSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Channel } = await import(process.argv[2] ? pathToFileURL(process.argv[2]) : "./channel.js");
const without = ["CH-1.1", "CH-2.3", "CH-3.9", "CH-4.8", "CH-5.4", "CH-7.2", "CH-7.3"]; // tasks, blocks and the like
const timersLeft = () => /Timeout|Immediate/.test(process.getActiveResourcesInfo());
let current; // the channel under test and its endpoints, its operations' AbortControllers, and which of them have ended

async function call({ do: what, op, on, size, message }) {
  const { endpoints, aborts, ended } = current; // by the time it ends, there may be another channel
  const { signal } = (aborts[op] = new AbortController());
  let returned, done;
  try {
    if (what === "connect") endpoints[on] = await endpoints.channel.connect({ signal });
    else if (what === "subscribe") endpoints[on] = await endpoints.channel.subscribe({ bufferSize: size ?? undefined, signal });
    else if (what === "send") await endpoints[on].send(message, { signal });
    else if (what === "read") returned = await endpoints[on].read({ signal });
    else if (what === "next") ({ value: returned, done } = await endpoints[on].messages({ signal }).next());
    else if (what === "close") await endpoints[on].close();
    else throw new TypeError(`an unknown command: ${what}`);
    ended.push(done ? { op, raised: "StopAsyncIteration" } : { op, returned: returned ?? null });
  } catch (error) {
    ended.push({ op, raised: error === signal.reason ? "CancelledError" : error.name, text: error.message });
  }
}

for (let chunk = Buffer.alloc(65536), text = "", size; (size = readSync(0, chunk)); ) {
  const lines = (text + chunk.toString("utf8", 0, size)).split("\n");
  text = lines.pop();
  for (const command of lines.map((line) => JSON.parse(line))) {
    let answer = {};
    if (command.do === "hello") answer = { protocol: 1, language: "JavaScript", rests: true, steps: true, without };
    else if (command.do === "new") current = { endpoints: { channel: new Channel(command.size) }, aborts: {}, ended: [] };
    else if (command.do === "state") answer = { state: current.endpoints.channel.state };
    else if (command.do === "cancel") current.aborts[command.op].abort();
    else if (command.do === "step") await null; // one turn of the microtasks
    else if (command.do === "rest") do await new Promise(setImmediate); while (timersLeft());
    else call(command);
    writeSync(1, `${JSON.stringify({ ...answer, ended: current?.ended.splice(0) })}\n`);
  }
}

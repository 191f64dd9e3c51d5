// A broadcast channel made of RxJS subjects, with the interface of ../javascript/channel.js, so that the agent there drives it:
//     npm install
//     aioservicekit-conformance --agent 'node ../javascript/agent.mjs ./channel.js'
//
// Each publisher is a subject, and all of them feed one hub. A subscriber keeps what the hub emits until somebody reads it, as
// packages do that turn an observable into an asynchronous iterator. Where RxJS has no opinion, as on publishers that join, on the
// channel's state and on reads that wait, this file keeps the rules. Where it has one, this file hides nothing.
const { Subject } = require("rxjs");

class ChannelClosedError extends Error {
  name = "ChannelClosedError";
}

class Channel {
  state = "initiation";
  hub = new Subject();
  sources = new Set(); // the publishers' subjects

  async connect() {
    if (this.state === "closed") throw new ChannelClosedError("the channel is closed");
    const source = new Subject();
    this.sources.add(source);
    source.subscribe({ next: (message) => this.hub.next(message) });
    this.look();
    return {
      send: async (message) => source.next(message),
      close: async () => {
        source.complete();
        this.sources.delete(source);
        this.look();
      },
    };
  }

  async subscribe() {
    const subscriber = new Subscriber(this);
    this.look();
    return subscriber;
  }

  async close() {
    this.state = "closed";
    for (const source of this.sources) source.complete();
    this.hub.complete();
  }

  look() {
    const complete = this.sources.size > 0 && this.hub.observed;
    if (this.state === "initiation" && complete) this.state = "open";
    if (this.state === "open" && !complete) this.close();
  }
}

class Subscriber {
  buffer = [];
  reads = [];

  constructor(channel) {
    this.channel = channel;
    this.subscription = channel.hub.subscribe((message) => {
      if (this.reads.length) this.reads.shift().resolve(message);
      else this.buffer.push(message);
    });
    this.subscription.add(() => {
      for (const read of this.reads.splice(0)) read.reject(new ChannelClosedError("the subscriber is closed"));
    });
  }

  async read({ signal } = {}) {
    if (this.buffer.length) return this.buffer.shift();
    if (this.subscription.closed) throw new ChannelClosedError("the subscriber is closed");
    return new Promise((resolve, reject) => {
      const read = { resolve, reject };
      this.reads.push(read);
      signal?.addEventListener("abort", () => {
        if (!this.reads.includes(read)) return;
        this.reads.splice(this.reads.indexOf(read), 1);
        reject(signal.reason);
      });
    });
  }

  async *messages({ signal } = {}) {
    try {
      while (true) yield await this.read({ signal });
    } catch (error) {
      if (!(error instanceof ChannelClosedError)) throw error;
    }
  }

  async close() {
    this.subscription.unsubscribe();
    this.channel.look();
  }
}

module.exports = { Channel, ChannelClosedError };

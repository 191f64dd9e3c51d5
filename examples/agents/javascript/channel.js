// A broadcast channel in JavaScript that keeps the rules of specs/channel.md. Every operation that may wait takes an
// AbortSignal: when it is aborted, an operation that has had no effect yet rejects with the signal's reason.
//
// Whoever makes an operation possible completes it. So a subscriber with waiting reads has an empty buffer, and sends wait only
// while some subscriber is full.

class ChannelClosedError extends Error {
  name = "ChannelClosedError";
}

// Wait at the end of a line, until somebody resolves or rejects the entry, or the signal is aborted.
function wait(line, entry, signal) {
  return new Promise((resolve, reject) => {
    const leave = () => {
      line.splice(line.indexOf(entry), 1);
      reject(signal.reason);
    };
    const settling = (settle) => (value) => {
      signal?.removeEventListener("abort", leave);
      settle(value);
    };
    line.push(Object.assign(entry, { resolve: settling(resolve), reject: settling(reject) }));
    signal?.addEventListener("abort", leave);
  });
}

class Channel {
  state = "initiation";
  publishers = new Set(); // those that are connected
  subscribers = new Set();
  sends = []; // those that wait, in the order of their calls; always this array, which aborted ones leave

  constructor(bufferSize = 0) {
    this.bufferSize = checked(bufferSize);
  }

  async connect({ signal } = {}) {
    return this.join(this.publishers, new Publisher(this), signal);
  }

  async subscribe({ bufferSize = this.bufferSize, signal } = {}) {
    return this.join(this.subscribers, new Subscriber(this, checked(bufferSize)), signal);
  }

  async close() {
    this.state = "closed";
    this.disconnect(...this.publishers, ...this.subscribers);
  }

  join(side, endpoint, signal) {
    if (this.state === "closed") throw new ChannelClosedError("the channel is closed");
    signal?.throwIfAborted();
    side.add(endpoint);
    if (this.publishers.size && this.subscribers.size) this.state = "open";
    return endpoint;
  }

  // All of the endpoints leave at one instant: no send goes on before the last of them has left.
  disconnect(...endpoints) {
    for (const endpoint of endpoints) {
      this.publishers.delete(endpoint);
      this.subscribers.delete(endpoint);
      endpoint.fail(new ChannelClosedError("it was closed meanwhile"));
    }
    if (this.state === "open" && !(this.publishers.size && this.subscribers.size)) this.close();
    this.commit();
  }

  // The sends that can commit do.
  commit() {
    while (this.sends.length && !this.full) {
      const send = this.sends.shift();
      this.deliver(send.message);
      send.resolve();
    }
  }

  deliver(message) {
    for (const subscriber of this.subscribers) subscriber.receive(message);
  }

  get full() {
    return [...this.subscribers].some((subscriber) => subscriber.full);
  }
}

class Publisher {
  constructor(channel) {
    this.channel = channel;
  }

  async send(message, { signal } = {}) {
    if (!this.channel.publishers.has(this)) throw new ChannelClosedError("the publisher is closed");
    signal?.throwIfAborted();
    const sent = wait(this.channel.sends, { message, publisher: this }, signal);
    this.channel.commit();
    return sent;
  }

  async close() {
    this.channel.disconnect(this);
  }

  fail(error) {
    const { sends } = this.channel;
    for (const send of sends.splice(0)) {
      if (send.publisher === this) send.reject(error);
      else sends.push(send);
    }
  }
}

class Subscriber {
  buffer = []; // the messages that have not been read
  reads = []; // those that wait, in the order of their calls

  constructor(channel, bufferSize) {
    this.channel = channel;
    this.bufferSize = bufferSize;
  }

  async read({ signal } = {}) {
    signal?.throwIfAborted();
    if (this.buffer.length) {
      const message = this.buffer.shift();
      this.channel.commit();
      return message;
    }
    if (!this.channel.subscribers.has(this)) throw new ChannelClosedError("the subscriber is closed");
    return wait(this.reads, {}, signal);
  }

  // What `read` returns, until the subscriber is closed and empty.
  async *messages({ signal } = {}) {
    try {
      while (true) yield await this.read({ signal });
    } catch (error) {
      if (!(error instanceof ChannelClosedError)) throw error;
    }
  }

  [Symbol.asyncIterator]() {
    return this.messages();
  }

  async close() {
    this.channel.disconnect(this);
  }

  receive(message) {
    if (this.reads.length) this.reads.shift().resolve(message);
    else this.buffer.push(message);
  }

  fail(error) {
    for (const read of this.reads.splice(0)) read.reject(error);
  }

  get full() {
    return this.bufferSize > 0 && this.buffer.length >= this.bufferSize;
  }
}

function checked(bufferSize) {
  if (!Number.isInteger(bufferSize)) throw new TypeError(`a buffer size is a whole number, not ${bufferSize}`);
  if (bufferSize < 0) throw new RangeError(`a buffer size is 0 or more, not ${bufferSize}`);
  return bufferSize;
}

module.exports = { Channel, ChannelClosedError, Publisher, Subscriber };

/**
 * A lean HTTP/1.1 load client: one request at a time on each of `concurrency` keep-alive connections, written straight to
 * the socket, so that the client takes little of the machine it measures on. It understands answers with a
 * Content-Length (what the gateway sends) and nothing else.
 */
import { connect, type Socket } from 'node:net';

export interface LoadTarget {
  readonly port: number;
}

export interface LoadOptions {
  readonly concurrency: number;
  readonly seconds: number;
  /** The request's bytes, for the i-th request overall. */
  readonly request: (i: number) => Buffer;
  readonly expectStatus: readonly number[];
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

/** Runs the load over the targets in turn (each connection stays with one) and measures it. */
export async function runLoad(targets: readonly LoadTarget[], options: LoadOptions): Promise<LoadResult> {
  const latencies: number[] = [];
  let failures = 0;
  let next = 0;
  const begin = performance.now();
  const end = begin + options.seconds * 1000;
  await Promise.all(Array.from({ length: options.concurrency }, async (_, c) => {
    const target = targets[c % targets.length] as LoadTarget;
    const connection = await LoadConnection.open(target.port);
    while (performance.now() < end) {
      const sentAt = performance.now();
      const status = await connection.exchange(options.request(next++));
      latencies.push(performance.now() - sentAt);
      if (!options.expectStatus.includes(status)) failures += 1;
    }
    connection.close();
  }));
  const seconds = (performance.now() - begin) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (q: number): number => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0;
  return { perSecond: latencies.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), failures };
}

class LoadConnection {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Bytes of the whole answer, once its head was seen. */
  #wanted = -1;
  #status = 0;
  #resolve: ((status: number) => void) | null = null;
  #reject: ((error: Error) => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => { this.#onData(bytes); });
    socket.on('error', (error) => { this.#reject?.(error); });
    socket.on('close', () => { this.#reject?.(new Error('the connection was closed')); });
  }

  static open(port: number): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => { resolve(new LoadConnection(socket)); });
      socket.once('error', reject);
    });
  }

  exchange(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#reject = null;
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    if (this.#wanted < 0) {
      const all = this.#received.length === 1 ? bytes : Buffer.concat(this.#received);
      const headEnd = all.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = all.toString('latin1', 0, headEnd);
      this.#status = Number(head.slice(9, 12));
      this.#wanted = headEnd + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    }
    if (this.#receivedBytes < this.#wanted) return;
    this.#received = [];
    this.#receivedBytes = 0;
    this.#wanted = -1;
    const resolve = this.#resolve;
    this.#resolve = null;
    this.#reject = null;
    resolve?.(this.#status);
  }
}

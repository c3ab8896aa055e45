/**
 * The wires between the nodes of a real ring: a TCP proxy before each node's ring port, which the node advertises, so
 * that every connection between two nodes goes through this process and can be held, delayed or reset, each direction
 * by itself.
 *
 * Held bytes aren't lost but late, as TCP has it: who sends them sees a socket that takes no more, and after the hold all
 * arrives in order, also the end of a connection. Throwing bytes away in the middle of a stream is nothing that a network
 * can do to TCP.
 *
 * Who dials is found out from the system (Linux: the socket's inode among the open files of the node's process), because
 * between nodes there is TLS; elsewhere the dialer is unknown, and its connections follow the state of "any" node.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type LinkState =
  | { readonly kind: 'open' }
  /** Nothing passes in this direction, until it opens again. */
  | { readonly kind: 'held' }
  /** Each piece waits for so many milliseconds. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Connections between the two end at once. */
  | { readonly kind: 'reset' };

const OPEN: LinkState = { kind: 'open' };
/** Stands for a dialer that isn't known. */
const UNKNOWN = -1;
const POLL_MS = 10;

interface Wire {
  readonly from: number;
  readonly to: number;
  readonly dialer: Socket;
  readonly target: Socket;
}

export class PeerLinks {
  readonly #states = new Map<string, LinkState>();
  readonly #wires = new Set<Wire>();
  readonly #servers: Server[] = [];
  /** By node: the port that its proxy leads to. */
  readonly #targets: number[] = [];
  readonly #pidOf: (node: number) => number | null;
  readonly #dialerAt: (address: string) => number | null;
  /** Connections whose dialer wasn't found. */
  unidentified = 0;
  connections = 0;

  /**
   * `pidOf`: of the process of a node that runs; asked for all nodes that listen. `dialerAt`: who dials from this address, where
   * nodes have addresses of their own: to look a socket up takes half a second when the machine has ten thousand.
   */
  constructor(pidOf: (node: number) => number | null, dialerAt: (address: string) => number | null = () => null) {
    this.#pidOf = pidOf;
    this.#dialerAt = dialerAt;
  }

  /** Opens the proxy of a node; resolves with its port. `port`: 0 is any. */
  async listen(node: number, ringPort: number, port: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => { this.#accept(socket, node); });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    this.#servers[node] = server;
    this.#targets[node] = ringPort;
    return portOf(server);
  }

  /** From now on somebody else answers at the node's address; connections to it end. */
  retarget(node: number, ringPort: number): void {
    this.#targets[node] = ringPort;
    for (const wire of this.#wires) if (wire.to === node) cut(wire);
  }

  /** The state of what `from` sends to `to`, on connections that either dialed. */
  set(from: number, to: number, state: LinkState): void {
    this.#states.set(`${from}>${to}`, state);
    if (state.kind !== 'reset') return;
    for (const wire of this.#wires) if ((wire.from === from && wire.to === to) || (wire.from === to && wire.to === from)) cut(wire);
  }

  openAll(): void {
    this.#states.clear();
  }

  /** Whether all is open. */
  get isWhole(): boolean {
    return [...this.#states.values()].every(({ kind }) => kind === 'open');
  }

  async close(): Promise<void> {
    for (const wire of this.#wires) cut(wire);
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #state(from: number, to: number): LinkState {
    return this.#states.get(`${from}>${to}`) ?? OPEN;
  }

  #accept(dialer: Socket, to: number): void {
    const from = this.#dialerAt(dialer.remoteAddress ?? '') ?? this.#dialerOf(dialer.remotePort ?? 0, dialer.localPort ?? 0);
    this.connections += 1;
    if (from === UNKNOWN) this.unidentified += 1;
    if (this.#state(from, to).kind === 'reset' || this.#state(to, from).kind === 'reset') {
      dialer.resetAndDestroy();
      return;
    }
    const target = connect({ port: this.#targets[to] ?? 0, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const wire: Wire = { from, to, dialer, target };
    this.#wires.add(wire);
    for (const socket of [dialer, target]) {
      socket.on('error', () => undefined);
      socket.once('close', () => { if (dialer.destroyed && target.destroyed) this.#wires.delete(wire); });
    }
    void this.#pump(dialer, target, from, to);
    void this.#pump(target, dialer, to, from);
  }

  /** Carries one direction, piece by piece, to its end; a broken side breaks the other as soon as the news may pass. */
  async #pump(source: Socket, sink: Socket, from: number, to: number): Promise<void> {
    try {
      for await (const piece of source.iterator({ destroyOnReturn: false })) {
        if (!(await this.#passage(sink, from, to))) throw new Error('the other side is gone');
        if (!sink.write(piece as Buffer)) await Promise.race([once(sink, 'drain'), once(sink, 'close')]);
      }
      await this.#passage(sink, from, to);
      sink.end();
    } catch {
      source.destroy();
      await this.#passage(sink, from, to);
      sink.resetAndDestroy();
    }
  }

  /** Waits until the link lets something through; false: there is nobody any more to take it. */
  async #passage(sink: Socket, from: number, to: number): Promise<boolean> {
    for (;;) {
      const state = this.#state(from, to);
      if (sink.destroyed || state.kind === 'reset') return false;
      if (state.kind === 'open') return true;
      await pause(state.kind === 'slow' ? state.delayMs : POLL_MS);
      if (state.kind === 'slow') return !sink.destroyed;
    }
  }

  #dialerOf(localPort: number, remotePort: number): number {
    const inode = inodeOf(localPort, remotePort);
    if (inode === null) return UNKNOWN;
    const link = `socket:[${inode}]`;
    for (const node of this.#servers.keys()) {
      const pid = this.#pidOf(node);
      if (pid !== null && openFiles(pid).includes(link)) return node;
    }
    return UNKNOWN;
  }
}

function cut({ dialer, target }: Wire): void {
  dialer.resetAndDestroy();
  target.resetAndDestroy();
}

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/** The inode of the socket with these ports. */
function inodeOf(localPort: number, remotePort: number): string | null {
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let text: string;
    try {
      text = readFileSync(table, 'latin1');
    } catch {
      continue;
    }
    for (const line of text.split('\n')) {
      const cells = line.trim().split(/\s+/);
      if (cells[1]?.endsWith(hex(localPort)) === true && cells[2]?.endsWith(hex(remotePort)) === true) return cells[9] ?? null;
    }
  }
  return null;
}

function openFiles(pid: number): string[] {
  try {
    const directory = `/proc/${pid}/fd`;
    return readdirSync(directory).map((fd) => {
      try {
        return readlinkSync(`${directory}/${fd}`);
      } catch {
        return '';
      }
    });
  } catch {
    return [];
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * The network of a simulated world: every machine has an endpoint, every connection is two SimStreams, and all that goes
 * wrong is decided here, from one random stream. Bytes are carried, not messages, so framing, pooling, time-outs and
 * back-pressure of the real code run in the simulator too.
 *
 * A machine is named like its node, `host:port`. Cuts are one-way and swallow bytes; they neither reset connections nor
 * refuse new ones, so only time-outs notice them. Losses only delay, as TCP repeats what was lost. TCP never says
 * anything twice either; `repeat` does what a network can do beyond it, and sends requests of earlier connections again.
 * Source: protocol section H.2 "Faults"; [VOPR] "network simulation".
 */
import { addressText, type NodeAddress } from '../domain/node-address.ts';
import type { ByteNetwork, ByteStream, Listener } from '../ports/byte-network.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { FrameCutter, Recording } from './frame-tap.ts';
import { networkError, SimStream, type Link } from './sim-stream.ts';

export interface NetworkFaults {
  /** Milliseconds one way: uniform in [min, max). */
  readonly latencyMinMs: number;
  readonly latencyMaxMs: number;
  /** Added to every transit: a delay spike. */
  readonly extraDelayMs: number;
  /** Probability that a batch is lost on the way and repeated, 0 to below 1. */
  readonly lossProbability: number;
  /** Probability that a batch breaks its connection, after some of its bytes arrived. */
  readonly resetProbability: number;
  /** Probability that a batch arrives in two pieces, one later than the other. */
  readonly splitProbability: number;
}

export const CALM_NETWORK: NetworkFaults = {
  latencyMinMs: 0.1,
  latencyMaxMs: 0.5,
  extraDelayMs: 0,
  lossProbability: 0,
  resetProbability: 0,
  splitProbability: 0,
};

export interface SimNetworkDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** TCP's first retransmission time-out; doubles with each loss in a row. */
const RETRANSMIT_MS = 200;
const LOSSES_MAX = 5;
const FREE_PORT_FIRST = 49_152;
/** Virtual milliseconds that a repeated connection is held open: its answers go nowhere. */
const REPEAT_OPEN_MS = 2_000;
const REPEAT_DIAL_MS = 1_000;
/** Connections repeated at once, the newest ones: broken ones count too. */
const REPEATED_MAX = 12;

/** Sees each whole frame as it arrives. */
export type FrameWatcher = (from: string, to: string, frame: Buffer) => void;

interface OpenPort {
  readonly node: string;
  readonly onStream: (stream: ByteStream) => void;
}

export class SimNetwork {
  readonly #deps: SimNetworkDeps;
  readonly #link: Link;
  #faults: NetworkFaults;
  readonly #ports = new Map<string, OpenPort>();
  /** Open streams by the node they end at. */
  readonly #streams = new Map<string, Set<SimStream>>();
  /** `from>to` of links that swallow everything. */
  readonly #cuts = new Set<string>();
  /** Grows with each crash of a node: what an earlier life began doesn't reach a later one. */
  readonly #lives = new Map<string, number>();
  #nextFreePort = FREE_PORT_FIRST;
  #watcher: FrameWatcher | null = null;
  #isRecording = false;
  /** While somebody looks at frames: each sending end, with what is needed to cut and to repeat it. */
  readonly #taps = new Map<SimStream, { readonly cutter: FrameCutter; readonly recording: Recording | null }>();
  readonly #dialled = new WeakSet<SimStream>();

  constructor(deps: SimNetworkDeps, faults: NetworkFaults) {
    this.#deps = deps;
    this.#faults = faults;
    this.#link = {
      clock: deps.clock,
      transitMs: () => this.#transitMs(),
      isCut: (from, to) => this.#cuts.has(`${from}>${to}`),
      delivery: (bytes) => this.#delivery(bytes),
      onDelivered: (sender, bytes) => { this.#tap(sender, bytes); },
    };
  }

  /** From now on every frame of new connections is shown. */
  watchFrames(watcher: FrameWatcher): void {
    this.#watcher = watcher;
  }

  /** From now on requests on new connections are kept, so that `repeat` has something to say. */
  recordRequests(): void {
    this.#isRecording = true;
  }

  /** Says again what was last said to the node on each connection, on connections of its own. Gives how many there are. */
  repeat(to: string, lateMs: number): number {
    const { clock } = this.#deps;
    const recordings = [...this.#taps.values()].flatMap(({ recording }) => recording ?? []).filter((recording) => recording.to === to).slice(-REPEATED_MAX);
    const said = recordings.map((recording) => ({ from: recording.from, frames: recording.frames() })).filter(({ frames }) => frames.length > 0);
    for (const { from, frames } of said) clock.after(lateMs, () => { this.#sayAgain(from, to, frames); });
    return said.length;
  }

  /** The network as one machine sees it. */
  endpoint(node: string): ByteNetwork {
    return {
      dial: (address, timeoutMs) => this.#dial(node, address, timeoutMs),
      listen: (host, port, onStream) => this.#listen(node, host, port, onStream),
    };
  }

  /** Changes what goes wrong from now on; bytes under way keep their times. */
  setFaults(change: Partial<NetworkFaults>): void {
    this.#faults = { ...this.#faults, ...change };
  }

  /** From now on nothing that `from` sends reaches `to`. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(`${from}>${to}`);
  }

  /** Cuts every link between the two sides, both ways. */
  partition(sideA: readonly string[], sideB: readonly string[]): void {
    for (const a of sideA) {
      for (const b of sideB) {
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  healAll(): void {
    this.#cuts.clear();
  }

  /** Breaks all connections of the node; both ends are told. */
  resetConnections(node: string): void {
    const error = networkError('ECONNRESET', 'the network broke the connection');
    for (const stream of [...(this.#streams.get(node) ?? [])]) stream.reset(error, error);
  }

  /** The machine's process is gone: its ports are closed, its connections broken; nothing is called there any more. */
  crash(node: string): void {
    this.#lives.set(node, this.#lifeOf(node) + 1);
    for (const [port, { node: owner }] of [...this.#ports]) if (owner === node) this.#ports.delete(port);
    for (const stream of [...(this.#streams.get(node) ?? [])]) stream.vanish();
  }

  /** Connections that have an end at this node. */
  connectionCount(node: string): number {
    return this.#streams.get(node)?.size ?? 0;
  }

  #sayAgain(from: string, to: string, frames: readonly Buffer[]): void {
    const [host = '', port = ''] = to.split(':');
    const ignore = (): void => {};
    this.#dial(from, { host, port: Number(port) }, REPEAT_DIAL_MS).then((stream) => {
      stream.start({ onBytes: ignore, onDrain: ignore, onClose: ignore });
      stream.write(frames);
      this.#deps.clock.after(REPEAT_OPEN_MS, () => { stream.destroy(); });
    }, ignore);
  }

  #tap(sender: SimStream, bytes: Buffer): void {
    if (this.#watcher === null && !this.#isRecording) return;
    let tap = this.#taps.get(sender);
    if (tap === undefined) {
      const isRequesting = this.#isRecording && this.#dialled.has(sender);
      tap = { cutter: new FrameCutter(), recording: isRequesting ? new Recording(sender.node, sender.remote) : null };
      this.#taps.set(sender, tap);
    }
    for (const frame of tap.cutter.push(bytes)) {
      tap.recording?.add(frame);
      this.#watcher?.(sender.node, sender.remote, frame);
    }
  }

  #lifeOf(node: string): number {
    return this.#lives.get(node) ?? 0;
  }

  #dial(node: string, address: NodeAddress, timeoutMs: number): Promise<ByteStream> {
    const { clock } = this.#deps;
    const target = addressText(address);
    const life = this.#lifeOf(node);
    const startedAt = clock.monotonicNow();
    return new Promise((resolve, reject) => {
      const attempt = (): void => {
        const port = this.#ports.get(target);
        const owner = port?.node ?? target;
        if (this.#link.isCut(node, owner) || this.#link.isCut(owner, node)) {
          const leftMs = timeoutMs - (clock.monotonicNow() - startedAt);
          if (leftMs <= 0) reject(networkError('ETIMEDOUT', `no answer from ${target}`));
          else clock.after(Math.min(RETRANSMIT_MS, leftMs), attempt);
          return;
        }
        if (this.#lifeOf(node) !== life) return;
        if (port === undefined) {
          clock.after(this.#transitMs(), () => reject(networkError('ECONNREFUSED', `nothing listens at ${target}`)));
          return;
        }
        const near = this.#stream(node, owner);
        const far = this.#stream(owner, node);
        this.#dialled.add(near);
        SimStream.connect(near, far);
        port.onStream(far);
        clock.after(this.#transitMs(), () => {
          if (clock.monotonicNow() - startedAt > timeoutMs) {
            near.destroy();
            reject(networkError('ETIMEDOUT', `no answer from ${target}`));
          } else {
            resolve(near);
          }
        });
      };
      clock.after(this.#transitMs(), attempt);
    });
  }

  #stream(node: string, remote: string): SimStream {
    const open = this.#streams.get(node) ?? new Set<SimStream>();
    this.#streams.set(node, open);
    const stream = new SimStream(this.#link, node, remote, (closed) => open.delete(closed));
    open.add(stream);
    return stream;
  }

  #listen(node: string, host: string, port: number, onStream: (stream: ByteStream) => void): Promise<Listener> {
    const bound = port === 0 ? this.#nextFreePort++ : port;
    const key = addressText({ host, port: bound });
    if (this.#ports.has(key)) return Promise.reject(networkError('EADDRINUSE', `${key} is in use`));
    const open: OpenPort = { node, onStream };
    this.#ports.set(key, open);
    return Promise.resolve({
      port: bound,
      close: () => {
        if (this.#ports.get(key) === open) this.#ports.delete(key);
        return Promise.resolve();
      },
    });
  }

  #transitMs(): number {
    const { latencyMinMs, latencyMaxMs, extraDelayMs, lossProbability } = this.#faults;
    const { random } = this.#deps;
    let transitMs = extraDelayMs + latencyMinMs + random.float() * (latencyMaxMs - latencyMinMs);
    if (lossProbability > 0) {
      for (let losses = 0; losses < LOSSES_MAX && random.float() < lossProbability; losses++) transitMs += RETRANSMIT_MS * 2 ** losses;
    }
    return transitMs;
  }

  #delivery(bytes: number): { bytes: number; isReset: boolean } {
    const { resetProbability, splitProbability } = this.#faults;
    const { random } = this.#deps;
    if (resetProbability > 0 && random.float() < resetProbability) return { bytes: random.below(bytes + 1), isReset: true };
    if (splitProbability > 0 && bytes > 1 && random.float() < splitProbability) return { bytes: 1 + random.below(bytes - 1), isReset: false };
    return { bytes, isReset: false };
  }
}

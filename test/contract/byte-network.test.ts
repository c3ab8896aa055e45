/** What every ByteNetwork promises, held against Node's (plain and TLS) and the simulator's. */
import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import type { ByteNetwork, ByteStream } from '../../src/ports/byte-network.ts';
import { parseClusterSecret } from '../../src/runtime/cluster-secret.ts';
import { NodeNetwork } from '../../src/runtime/node-network.ts';
import { CALM_NETWORK, SimNetwork } from '../../src/sim/sim-network.ts';
import { Simulation } from '../../src/sim/simulation.ts';

const HOST = '127.0.0.1';

interface Bench {
  readonly network: ByteNetwork;
  sleep(ms: number): Promise<void>;
}

type Run = (main: (bench: Bench) => Promise<void>) => Promise<void>;

const secret = parseClusterSecret('a secret for tests, long enough for the limit');

function real(options: ConstructorParameters<typeof NodeNetwork>[0]): Run {
  return (main) => main({ network: new NodeNetwork(options), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) });
}

const simulated: Run = async (main) => {
  const sim = new Simulation({ seed: 5, durationMsMax: 600_000, eventsMax: 1_000_000, linesMax: 0 });
  const network = new SimNetwork({ clock: sim.clock, random: sim.random.fork('network') }, { ...CALM_NETWORK, splitProbability: 0.3 });
  const result = await sim.run(() => main({ network: network.endpoint(`${HOST}:1`), sleep: (ms) => sim.clock.sleep(ms) }));
  if (result.violations.length > 0) throw new Error(result.violations.join('\n'));
};

/** One end of a stream that remembers what happened to it. */
class End {
  readonly stream: ByteStream;
  readonly received: Buffer[] = [];
  drains = 0;
  closes: (Error | null)[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.start({
      onBytes: (bytes) => { this.received.push(bytes); },
      onDrain: () => { this.drains++; },
      onClose: (error) => { this.closes.push(error); },
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

async function until(bench: Bench, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await bench.sleep(5);
  expect(condition()).toBe(true);
}

/** Two connected ends. */
async function pair(bench: Bench): Promise<{ near: End; far: End; close: () => Promise<void> }> {
  const accepted: End[] = [];
  const listener = await bench.network.listen(HOST, 0, (stream) => { accepted.push(new End(stream)); });
  const near = new End(await bench.network.dial({ host: HOST, port: listener.port }, 2000));
  await until(bench, () => accepted.length === 1);
  return { near, far: accepted[0]!, close: () => listener.close() };
}

const pattern = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 255;
  return bytes;
};
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe.each<readonly [string, Run]>([
  ['SimNetwork', simulated],
  ['NodeNetwork, plain', real({ secret: null })],
  ['NodeNetwork, TLS', real({ secret })],
])('%s', (_name, run) => {
  test('carries bytes both ways, in order and unchanged', () => run(async (bench) => {
    const { near, far, close } = await pair(bench);
    near.stream.write([Buffer.from('hello '), Buffer.alloc(0), Buffer.from('there')]);
    far.stream.write([Buffer.from('good ')]);
    far.stream.write([Buffer.from('day')]);
    await until(bench, () => far.bytes.length === 11 && near.bytes.length === 8);
    expect([far.bytes.toString(), near.bytes.toString()]).toEqual(['hello there', 'good day']);
    near.stream.destroy();
    await until(bench, () => near.closes.length === 1 && far.closes.length === 1);
    await close();
  }));

  test('carries many megabytes in pieces of all sizes', () => run(async (bench) => {
    const { near, far, close } = await pair(bench);
    const bytes = pattern(3_000_000);
    let at = 0;
    for (let size = 1; at < bytes.length; size = (size * 7 + 3) % 200_000) near.stream.write([bytes.subarray(at, at += size)]);
    await until(bench, () => far.received.reduce((sum, piece) => sum + piece.length, 0) === bytes.length);
    expect(sha256(far.bytes)).toBe(sha256(bytes));
    expect(near.stream.queuedBytes()).toBe(0);
    near.stream.destroy();
    await close();
  }));

  test('says when too much is queued, and when there is room again', () => run(async (bench) => {
    const { near, far, close } = await pair(bench);
    far.stream.pause();
    let writes = 0;
    // The system's own buffers take some megabytes first: write on as long as there is room again soon.
    for (let drains = -1; drains < near.drains && writes < 2000; await bench.sleep(100)) {
      drains = near.drains;
      do writes++;
      while (near.stream.write([Buffer.alloc(64 * 1024)]) && writes < 2000);
    }
    expect(writes).toBeLessThan(2000);
    expect(near.stream.queuedBytes()).toBeGreaterThan(0);
    expect(far.received.length).toBeLessThan(2);
    const drainsBefore = near.drains;
    far.stream.resume();
    await until(bench, () => near.drains === drainsBefore + 1);
    await until(bench, () => far.received.reduce((sum, piece) => sum + piece.length, 0) === writes * 64 * 1024);
    near.stream.destroy();
    await close();
  }));

  test('end() delivers what was written before, then closes both ends in order', () => run(async (bench) => {
    const { near, far, close } = await pair(bench);
    near.stream.write([pattern(1_000_000)]);
    near.stream.end();
    near.stream.write([Buffer.from('too late')]);
    await until(bench, () => near.closes.length === 1 && far.closes.length === 1);
    expect(sha256(far.bytes)).toBe(sha256(pattern(1_000_000)));
    expect([near.closes, far.closes]).toEqual([[null], [null]]);
    await close();
  }));

  test('destroy() closes both ends once, and nothing comes afterwards', () => run(async (bench) => {
    const { near, far, close } = await pair(bench);
    far.stream.write([Buffer.from('x')]);
    near.stream.destroy();
    near.stream.destroy();
    near.stream.end();
    await until(bench, () => near.closes.length === 1 && far.closes.length === 1);
    await bench.sleep(50);
    expect(near.closes).toEqual([null]);
    expect(near.received).toEqual([]);
    expect(far.closes.length).toBe(1);
    far.stream.write([Buffer.from('y')]);
    await close();
  }));

  test('gives the port it bound, and refuses one that is taken', () => run(async (bench) => {
    const listener = await bench.network.listen(HOST, 0, () => {});
    expect(listener.port).toBeGreaterThan(0);
    await expect(bench.network.listen(HOST, listener.port, () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await listener.close();
    await (await bench.network.listen(HOST, listener.port, () => {})).close();
  }));

  test('rejects a dial to a port where nobody listens', () => run(async (bench) => {
    const listener = await bench.network.listen(HOST, 0, () => {});
    await listener.close();
    await expect(bench.network.dial({ host: HOST, port: listener.port }, 1000)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  }));

  test('a closed listener takes no more streams, but leaves those it has', () => run(async (bench) => {
    const { near, far, close } = await pair(bench);
    await close();
    near.stream.write([Buffer.from('still here')]);
    await until(bench, () => far.bytes.toString() === 'still here');
    near.stream.destroy();
    await until(bench, () => far.closes.length === 1);
  }));
});

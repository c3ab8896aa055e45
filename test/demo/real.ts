/**
 * The demonstration on real input: thousands of real files of this machine go through different nodes of a five-node
 * ring; a node is killed during the puts, a node joins and another leaves during the gets; then every file is compared
 * with its SHA-256, and every receipt with what each replica really holds. Exit code 1 when anything isn't as promised.
 *
 *   npm run demo:real [-- --files 2000 --seed 1]
 */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Receipt } from '../../src/domain/object-operation.ts';
import { hasher } from '../../src/ring/hasher.ts';
import { preferenceList } from '../../src/ring/preference-list.ts';
import { tokenRing } from '../../src/ring/token-ring.ts';
import type { NodeId } from '../../src/domain/ids.ts';
import type { Position } from '../../src/domain/ring-position.ts';
import type { RingView } from '../../src/node/node-service.ts';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';

const INLINE_BYTES_MAX = 131_072;
const AT_ONCE = 16;
const REFUSED_MS_MAX = 5_000;
const MOVED_RATIO_MAX = 1.25;
const ROOT = path.resolve(import.meta.dirname, '../..');

const { values: args } = parseArgs({ options: { files: { type: 'string', default: '2000' }, seed: { type: 'string', default: '1' } } });
const wanted = Number(args.files);

interface Source {
  readonly name: string;
  readonly file: string;
  readonly size: number;
}

/** What a client saw of one phase. */
class Tally {
  done = 0;
  bytes = 0;
  retries = 0;
  unknown = 0;
  longestRefusedMs = 0;
  readonly beganAt = performance.now();
  readonly #label: string;
  readonly #total: number;

  constructor(label: string, total: number) {
    this.#label = label;
    this.#total = total;
  }

  count(bytes: number, refusedMs: number): void {
    this.done += 1;
    this.bytes += bytes;
    this.longestRefusedMs = Math.max(this.longestRefusedMs, refusedMs);
    if (process.stdout.isTTY) process.stdout.write(`\r${this.#label} ${this.done}/${this.#total}   `);
    else if (this.done % 500 === 0) console.log(`${this.#label} ${this.done}/${this.#total}`);
  }

  report(): void {
    const seconds = (performance.now() - this.beganAt) / 1000;
    if (process.stdout.isTTY) process.stdout.write('\r');
    console.log(`${this.#label}: ${this.done} files, ${mib(this.bytes)} MiB in ${seconds.toFixed(1)} s: ${(this.done / seconds).toFixed(0)} files/s, ` +
      `${(this.bytes / seconds / 2 ** 20).toFixed(1)} MiB/s; ${this.retries} retries, ${this.unknown} unknown outcomes resolved, ` +
      `longest time refused ${this.longestRefusedMs.toFixed(0)} ms`);
  }
}

const failures: string[] = [];
function expectTrue(condition: boolean, what: string): void {
  if (condition) return;
  failures.push(what);
  console.error(`FAILED: ${what}`);
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

async function realFiles(count: number): Promise<Source[]> {
  const found: Source[] = [];
  for (const top of ['/usr/share', path.join(ROOT, 'node_modules')]) {
    const pending = [top];
    for (let directory = pending.shift(); directory !== undefined && found.length < count; directory = pending.shift()) {
      const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        const file = path.join(directory, entry.name);
        if (entry.isDirectory()) pending.push(file);
        if (!entry.isFile() || found.length >= count) continue;
        const size = (await stat(file)).size;
        if (size <= INLINE_BYTES_MAX) found.push({ name: file.slice(1), file, size });
      }
    }
  }
  return found;
}

/** Runs the work on each item, AT_ONCE side by side; `at` is told the part done, 0 to 1. */
async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>, at: (part: number) => void): Promise<void> {
  let next = 0;
  let done = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let i = next++; i < items.length; i = next++) {
      await work(items[i] as T, i);
      done += 1;
      at(done / items.length);
    }
  }));
}

/** Retries through the next node until it is answered, at most a minute; returns the answer and how long it was refused. */
async function persist(nodes: () => RealNode[], first: number, tally: Tally, attempt: (node: RealNode) => Promise<Response | null>): Promise<{ response: Response; refusedMs: number }> {
  const begin = performance.now();
  let refusedSince: number | null = null;
  for (let i = first; performance.now() - begin < 60_000; i++) {
    const live = nodes();
    const response = await attempt(live[i % live.length] as RealNode).catch(() => null);
    if (response !== null && response.status < 500) {
      return { response, refusedMs: refusedSince === null ? 0 : performance.now() - refusedSince };
    }
    refusedSince ??= begin;
    tally.retries += 1;
    await response?.body?.cancel();
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error('an operation was not answered within a minute');
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

function replicasOf(ring: RingView, name: string): NodeId[] {
  const tokens = tokenRing(ring.members.filter((m) => m.state !== 'leaving').map((m) => ({ nodeId: m.nodeId as NodeId, tokens: m.tokens as Position[], zone: m.zone })));
  return preferenceList(tokens, hasher(name, ring.M), ring.replicationFactor);
}

/** Bytes that the replica sets of `after` lacked in `before`. */
function lackedBytes(before: RingView, after: RingView, sources: readonly Source[]): number {
  let bytes = 0;
  for (const { name, size } of sources) {
    const had = new Set(replicasOf(before, name));
    bytes += size * replicasOf(after, name).filter((id) => !had.has(id)).length;
  }
  return bytes;
}

const movedBytes = async (nodes: readonly RealNode[]): Promise<number> =>
  (await Promise.all(nodes.map((node) => node.metric('dht_rebalance_transferred_bytes_total')))).reduce((a, b) => a + b, 0);

async function untilQuiet(nodes: readonly RealNode[], members: number): Promise<void> {
  await until(async () => {
    const rings = await Promise.all(nodes.map((node) => node.ring()));
    const views = await Promise.all(nodes.map((node) => node.view()));
    return rings.every((ring) => ring.phase === 'stable' && ring.members.length === members && ring.epoch === rings[0]?.epoch && ring.moves.arcs === 0)
      && views.every((view) => view.state === 'serving' && view.progress === null);
  }, 60_000, `the ring of ${members} is quiet`);
}

const sources = await realFiles(wanted);
const digests = new Map<string, string>();
const receipts = new Map<string, Receipt>();
console.log(`${sources.length} real files, ${mib(sources.reduce((sum, s) => sum + s.size, 0))} MiB; starting five nodes with TLS between them`);
expectTrue(sources.length >= wanted, `found ${wanted} files`);

const ring = await RealRing.create();
try {
  const founder = await ring.startNew([]);
  for (let i = 1; i < 5; i++) await ring.startNew([ring.nodes[i - 1] ?? founder]);
  await untilQuiet(ring.nodes, 5);
  const live = (): RealNode[] => ring.nodes.filter((node) => node.isRunning);

  // ---- puts, and a SIGKILL in the middle
  const puts = new Tally('put', sources.length);
  const victim = ring.nodes[2] as RealNode;
  let isKilled = false;
  await each(sources, async (source, i) => {
    const bytes = await readFile(source.file);
    digests.set(source.name, createHash('sha256').update(bytes).digest('hex'));
    let key: string = randomUUID();
    let wasUnknown = false;
    let wasDenied = false;
    const { response, refusedMs } = await persist(() => ring.nodes, i, puts, async (node) => {
      const response = await fetch(node.objectUrl(source.name), {
        method: 'PUT', body: bytes, headers: { 'if-none-match': '*', 'idempotency-key': key }, signal: AbortSignal.timeout(35_000),
      }).catch(() => { wasUnknown = true; return null; });
      if (response?.status === 503) {
        const { outcome } = await response.clone().json() as { outcome?: string };
        if (outcome === 'unknown') wasUnknown = true;
        else { wasDenied = true; if (!wasUnknown) key = randomUUID(); }
      }
      return response;
    });
    if (response.status === 201 || response.status === 200) receipts.set(source.name, await response.json() as Receipt);
    else {
      const text = await response.text();
      expectTrue(false, `put ${source.name}: ${response.status} ${text}${wasDenied ? ', after an answer that said it was not applied' : ''}`);
    }
    if (wasUnknown) puts.unknown += 1;
    puts.count(source.size, refusedMs);
  }, (part) => {
    if (part < 0.4 || isKilled) return;
    isKilled = true;
    victim.kill('SIGKILL');
    console.log(`\nSIGKILL of ${victim.name}`);
  });
  puts.report();
  expectTrue(puts.longestRefusedMs <= REFUSED_MS_MAX, `no put was refused for more than ${REFUSED_MS_MAX} ms`);
  expectTrue(receipts.size === sources.length, `a receipt for each file (${receipts.size} of ${sources.length})`);

  // ---- the killed node comes back as itself and catches up
  const returned = performance.now();
  ring.start(victim, ['--join', founder.name]);
  await ring.untilReady(victim);
  await untilQuiet(ring.nodes, 5);
  console.log(`${victim.name} is back and has caught up after ${((performance.now() - returned) / 1000).toFixed(1)} s`);

  // ---- gets, a join and a leave meanwhile
  const before = await founder.ring();
  const movedBefore = await movedBytes(ring.nodes);
  const gets = new Tally('get', sources.length * 2);
  const leaver = ring.nodes[1] as RealNode;
  let joined: Promise<RingView> | null = null;
  let left: Promise<number | null> | null = null;
  let leaverMoved = 0;
  const getAll = async (at: (part: number) => void): Promise<void> => each(sources, async (source, i) => {
    const { response, refusedMs } = await persist(live, i, gets, async (node) => fetch(node.objectUrl(source.name), { signal: AbortSignal.timeout(35_000) }));
    const bytes = Buffer.from(await response.arrayBuffer());
    expectTrue(response.status === 200 && createHash('sha256').update(bytes).digest('hex') === digests.get(source.name), `get ${source.name} (${response.status})`);
    gets.count(source.size, refusedMs);
  }, at);
  await getAll((part) => {
    if (part < 0.2 || joined !== null) return;
    joined = (async () => {
      console.log('\na sixth node joins');
      await ring.startNew([ring.nodes[3] as RealNode]);
      await untilQuiet(ring.nodes, 6);
      return founder.ring();
    })();
  });
  const grown = await (joined as Promise<RingView> | null);
  if (grown === null) throw new Error('nobody joined');
  await getAll((part) => {
    if (part < 0.2 || left !== null) return;
    left = (async () => {
      console.log(`\n${leaver.name} leaves`);
      leaverMoved = await movedBytes([leaver]);
      await leaver.admin('/v1/node/leave', { method: 'POST' });
      const code = await Promise.race([leaver.exited, pause(60_000).then(() => -1)]);
      return code;
    })();
  });
  expectTrue((await (left as Promise<number | null> | null)) === 0, 'the leaver exits with code 0');
  gets.report();
  expectTrue(gets.longestRefusedMs <= REFUSED_MS_MAX, `no get was refused for more than ${REFUSED_MS_MAX} ms`);
  await untilQuiet(live(), 5);
  const shrunk = await founder.ring();
  const lacked = lackedBytes(before, grown, sources) + lackedBytes(grown, shrunk, sources);
  const moved = await movedBytes(live()) + leaverMoved - movedBefore;
  console.log(`moved ${mib(moved)} MiB for the join and the leave, the new replica sets lacked ${mib(lacked)} MiB: ratio ${(moved / lacked).toFixed(3)}`);
  expectTrue(moved <= MOVED_RATIO_MAX * lacked, `moved at most ${MOVED_RATIO_MAX} times what was lacked`);

  // ---- every receipt against what each replica really holds
  let replicas = 0;
  await each(sources, async (source, i) => {
    const nodes = live();
    const receipt = receipts.get(source.name);
    const explained = await (nodes[i % nodes.length] as RealNode).explain(source.name);
    expectTrue(explained.preferenceList.length === 3, `${source.name} has three replicas`);
    for (const { node, holds } of explained.preferenceList) {
      replicas += 1;
      expectTrue(holds?.durable === true && holds.sha256 === digests.get(source.name) && holds.version === receipt?.version,
        `${source.name} at ${node}: ${JSON.stringify(holds)}, receipt ${receipt?.version}`);
    }
  }, () => {});
  console.log(`compared ${receipts.size} receipts with ${replicas} replicas`);
} finally {
  await ring.stop();
}
console.log(failures.length === 0 ? 'Nothing lost, nothing corrupt, no wrong answer.' : `${failures.length} failures`);
process.exit(failures.length === 0 ? 0 : 1);

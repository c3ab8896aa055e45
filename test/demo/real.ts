/**
 * The demonstration on real input: thousands of real files of this machine, from nothing to tens of MiB, and one body of
 * 4 GiB go through different nodes of a five-node ring; a node is killed during the puts, a node joins and another leaves
 * during the gets; then every file is compared with its SHA-256, every receipt with what each replica really holds, and
 * the listing with what was stored. Exit code 1 when anything isn't as promised.
 *
 *   npm run demo:real [-- --files 2000 --mib 1500 --huge 4096 --seed 1]     (sizes in MiB; --huge 0 leaves it out)
 */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Receipt } from '../../src/domain/object-operation.ts';
import type { RingView } from '../../src/node/node-service.ts';
import { peakResidentMiB } from '../support/process-memory.ts';
import { lackedBytes } from '../support/lacked-bytes.ts';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';
import { compareNames } from '../../src/domain/name-order.ts';
import { hugeBody, INLINE_BYTES_MAX, realFiles, sha256Of, type Source } from './sources.ts';
import { getDigest, putSource, type Answer, type Received } from './transfer.ts';

const AT_ONCE = 16;
/** Large bodies compared side by side: each makes its replicas read it all. */
const COMPARED_AT_ONCE = 4;
const REFUSED_MS_MAX = 5_000;
const MOVED_RATIO_MAX = 1.25;
const RESIDENT_MIB_MAX = 300;
/** Milliseconds for the ring to come to rest, and for a node to leave: gigabytes may have to move. */
const QUIET_MS_MAX = 600_000;
const OPERATION_MS_MAX = 300_000;
const REPAIR_MS_MAX = 300_000;
const INSPECTED_BYTES_MAX = 2 ** 30;
const ROOT = path.resolve(import.meta.dirname, '../..');

const { values: args } = parseArgs({
  options: {
    files: { type: 'string', default: '2000' }, mib: { type: 'string', default: '1500' }, huge: { type: 'string', default: '4096' }, seed: { type: 'string', default: '1' },
  },
});
const wanted = Number(args.files);
const hugeMiB = Number(args.huge);

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

/** Runs the work on each item, some side by side; `at` is told the part done, 0 to 1. */
async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>, at: (part: number) => void, atOnce = AT_ONCE): Promise<void> {
  let next = 0;
  let done = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let i = next++; i < items.length; i = next++) {
      await work(items[i] as T, i);
      done += 1;
      at(done / items.length);
    }
  }));
}

/**
 * Retries through the next node until it is answered; returns the answer and for how long it was refused: from the first
 * failure (for a small body from the beginning) to the beginning of the try that went well.
 */
async function persist<T extends { readonly status: number }>(
  nodes: () => RealNode[], first: number, tally: Tally, isLarge: boolean, attempt: (node: RealNode) => Promise<T | null>,
): Promise<{ readonly answer: T; readonly refusedMs: number }> {
  const begin = performance.now();
  let refusedSince: number | null = null;
  for (let i = first; performance.now() - begin < OPERATION_MS_MAX; i++) {
    const live = nodes();
    const triedAt = performance.now();
    const answer = await attempt(live[i % live.length] as RealNode).catch(() => null);
    if (answer !== null && answer.status < 500) {
      return { answer, refusedMs: refusedSince === null ? 0 : (isLarge ? triedAt : performance.now()) - refusedSince };
    }
    refusedSince ??= isLarge ? performance.now() : begin;
    tally.retries += 1;
    await pause(50);
  }
  throw new Error('an operation was not answered in time');
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

const isLargeSource = ({ size }: Source): boolean => size > INLINE_BYTES_MAX;

/** The most that any node's process ever held, of those that run. */
async function reportMemory(nodes: readonly RealNode[], phase: string): Promise<void> {
  const peaks = await Promise.all(nodes.map(async (node) => ({ name: node.name, peak: await peakResidentMiB(node.process?.pid ?? 0) })));
  console.log(`resident memory at most, ${phase}: ${peaks.map(({ name, peak }) => `${name} ${peak.toFixed(0)} MiB`).join(', ')}`);
  for (const { name, peak } of peaks) expectTrue(peak < RESIDENT_MIB_MAX, `${name} stays below ${RESIDENT_MIB_MAX} MiB (${peak.toFixed(0)})`);
}

/** All names, page by page, as the ring lists them. */
async function listed(nodes: readonly RealNode[]): Promise<string[]> {
  const names: string[] = [];
  let cursor: string | undefined;
  for (let i = 0; i === 0 || cursor !== undefined; i++) {
    const query = new URLSearchParams({ limit: '300', ...(cursor === undefined ? {} : { cursor }) });
    const response = await fetch(`${nodes[i % nodes.length]?.url ?? ''}/v1/objects?${query}`);
    const page = await response.json() as { objects: { name: string }[]; cursor?: string };
    if (!response.ok) throw new Error(`the listing failed: ${JSON.stringify(page)}`);
    names.push(...page.objects.map(({ name }) => name));
    cursor = page.cursor;
  }
  return names;
}

const movedBytes = async (nodes: readonly RealNode[]): Promise<number> =>
  (await Promise.all(nodes.map((node) => node.metric('dht_rebalance_transferred_bytes_total', 'direction="in"')))).reduce((a, b) => a + b, 0);

async function untilQuiet(nodes: readonly RealNode[], members: number): Promise<void> {
  await until(async () => {
    const rings = await Promise.all(nodes.map((node) => node.ring()));
    const views = await Promise.all(nodes.map((node) => node.view()));
    return rings.every((ring) => ring.phase === 'stable' && ring.members.length === members && ring.epoch === rings[0]?.epoch && ring.moves.arcs === 0)
      && views.every((view) => view.state === 'serving' && view.progress === null);
  }, QUIET_MS_MAX, `the ring of ${members} is quiet`);
}

const files = await realFiles(['/usr/share', '/usr/lib', path.join(ROOT, 'node_modules'), path.join(ROOT, '.git/objects/pack')], wanted, Number(args.mib) * 2 ** 20);
// The huge body first: it is on its way during all of the puts and gets.
const sources: readonly Source[] = hugeMiB > 0 ? [hugeBody(hugeMiB, Number(args.seed)), ...files] : files;
const digests = new Map<string, string>();
const receipts = new Map<string, Receipt>();
const sizes = files.map(({ size }) => size).sort((x, y) => x - y);
console.log(`${files.length} real files, ${mib(sizes.reduce((sum, size) => sum + size, 0))} MiB, ${files.filter(isLargeSource).length} of them above the inline limit, the largest ${mib(sizes.at(-1) ?? 0)} MiB; ` +
  `one body of ${hugeMiB} MiB; starting five nodes with TLS between them`);
expectTrue(files.length >= wanted, `found ${wanted} files (${files.length})`);

/** Holds every receipt against what each replica really has. Waits for repairs: a replica that was cut for being slow gets the body later. */
async function compareReceipts(stored: readonly Source[], live: () => RealNode[]): Promise<{ readonly compared: number; readonly repairedLater: number }> {
  let compared = 0;
  let repairedLater = 0;
  await each(stored, async (source, i) => {
    const nodes = live();
    const version = receipts.get(source.name)?.version;
    const lacking = async (): Promise<string[]> => {
      const { preferenceList } = await (nodes[i % nodes.length] as RealNode).explain(source.name);
      // A replica leaves out the digest of a body that it can't read while the asker waits; the gets have read it all.
      const isDigest = (sha256: string | null): boolean => sha256 === digests.get(source.name) || (sha256 === null && source.size > INSPECTED_BYTES_MAX);
      const wrong = preferenceList.filter(({ holds }) => !(holds?.durable === true && isDigest(holds.sha256) && holds.version === version));
      return preferenceList.length === 3 ? wrong.map(({ node, holds }) => `${node}: ${JSON.stringify(holds)}`) : [`${preferenceList.length} replicas`];
    };
    const beganAt = performance.now();
    let wrong = await lacking();
    const hadLack = wrong.length > 0;
    while (wrong.length > 0 && performance.now() - beganAt < REPAIR_MS_MAX) {
      await pause(1_000);
      wrong = await lacking();
    }
    compared += 1;
    if (hadLack) repairedLater += 1;
    expectTrue(wrong.length === 0, `${source.name}, receipt ${version}: ${wrong.join('; ')}`);
  }, () => {}, COMPARED_AT_ONCE);
  return { compared, repairedLater };
}

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
    digests.set(source.name, await sha256Of(source.open()));
    let key: string = randomUUID();
    let wasUnknown = false;
    let wasDenied = false;
    const { answer, refusedMs } = await persist<Answer>(() => ring.nodes, i, puts, isLargeSource(source), async (node) => {
      const headers = { 'if-none-match': '*', 'idempotency-key': key };
      const answer = await putSource(node.objectUrl(source.name), source, headers, i % 3 !== 0).catch(() => { wasUnknown = true; return null; });
      if (answer?.status === 503) {
        const { outcome } = JSON.parse(answer.text) as { outcome?: string };
        if (outcome === 'unknown') wasUnknown = true;
        else { wasDenied = true; if (!wasUnknown) key = randomUUID(); }
      }
      return answer;
    });
    if (answer.status === 201 || answer.status === 200) receipts.set(source.name, JSON.parse(answer.text) as Receipt);
    else expectTrue(false, `put ${source.name}: ${answer.status} ${answer.text}${wasDenied ? ', after an answer that said it was not applied' : ''}`);
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
  await reportMemory(live(), 'puts');
  expectTrue(receipts.size === sources.length, `a receipt for each file (${receipts.size} of ${sources.length})`);

  // ---- the killed node comes back as itself and catches up
  const returned = performance.now();
  ring.start(victim, ['--join', founder.name]);
  await ring.untilReady(victim);
  await untilQuiet(ring.nodes, 5);
  console.log(`${victim.name} is back and has caught up after ${((performance.now() - returned) / 1000).toFixed(1)} s`);

  // ---- what was cut during the puts is repaired before bytes are counted
  const { repairedLater: cutCount } = await compareReceipts(sources.filter(isLargeSource), live);
  console.log(`all replicas of the large bodies are complete, ${cutCount} of them after a repair`);

  // ---- gets, a join and a leave meanwhile
  const before = await founder.ring();
  const movedBefore = await movedBytes(ring.nodes);
  const gets = new Tally('get', sources.length * 2);
  const leaver = ring.nodes[1] as RealNode;
  let joined: Promise<RingView> | null = null;
  let left: Promise<number | null> | null = null;
  let leaverMoved = 0;
  const getAll = async (at: (part: number) => void): Promise<void> => each(sources, async (source, i) => {
    const { answer, refusedMs } = await persist<Received>(live, i, gets, isLargeSource(source), (node) => getDigest(node.objectUrl(source.name)));
    expectTrue(answer.status === 200 && answer.sha256 === digests.get(source.name), `get ${source.name} (${answer.status}, ${answer.bytes} of ${source.size} bytes)`);
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
      const code = await Promise.race([leaver.exited, pause(QUIET_MS_MAX).then(() => -1)]);
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

  await reportMemory(live(), 'gets, join and leave');

  // ---- the listing
  const names = await listed(live());
  const expected = sources.map(({ name }) => name).sort(compareNames);
  expectTrue(names.length === expected.length && names.every((name, i) => name === expected[i]), `the listing shows what was stored (${names.length} of ${expected.length} names)`);
  console.log(`listed ${names.length} names`);

  // ---- every receipt against what each replica really holds
  const { compared, repairedLater } = await compareReceipts(sources, live);
  console.log(`compared ${compared} receipts with three replicas each, ${repairedLater} of them only after a repair in the background`);
} finally {
  await ring.stop();
}
console.log(failures.length === 0 ? 'Nothing lost, nothing corrupt, no wrong answer.' : `${failures.length} failures`);
process.exit(failures.length === 0 ? 0 : 1);
